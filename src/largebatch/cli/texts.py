"""What `--help` says of each command."""

HELP = {
    "evaluate": "loss and accuracy on the training and the testing set",
    "sharpness": "by how many percent of 1 + f the training loss f can rise nearby (Metric 2.1)",
    "interpolate": "loss and accuracy along the line or the curve between two solutions",
    "verify-archive": "check a study's archive, and unpack it to draw its figures again",
}
ABOUT = {
    "evaluate": """\
Mean cross entropy and accuracy (percent) of a network on both parts of the data.""",
    "sharpness": """\
Metric 2.1 of Keskar et al. (ICLR 2017), in percent:

  phi = 100 (max f(x + A y) - f(x)) / (1 + f(x)) over |y_i| <= epsilon (|(A+ x)_i| + 1)

f is the mean cross entropy over the training set, x the n trainable weights, A the identity or a
random n x P matrix. Any search gives a lower bound: `best` is a set of ascent methods, `paper` ten
iterations of L-BFGS-B, marked `stalled` where it is under half of the largest value found. Running
statistics of batch normalization stay those of the file all over the box, unless
--batchnorm batch is given.""",
    "interpolate": """\
Cross entropy and accuracy (percent), training and testing, at points of a path that has WEIGHTS_A
at alpha = 0 and WEIGHTS_B at alpha = 1:

  linear       alpha B + (1 - alpha) A
  curvilinear  sin(alpha pi / 2) B + cos(alpha pi / 2) A

Only trainable weights are mixed. Running statistics of batch normalization that differ between the
two are recomputed from the training set at every point, the ends too; other buffers are A's.""",
    "verify-archive": """\
Checks every file of an archive that `snakemake archive` made against the digests of its manifest.
With --unpack FOLDER, and only if all of it is intact, its files are written below results/ and
reports/ there; none is overwritten. In a copy of the project all tables, figures and the page can
then be made again, and `snakemake verify` checks the provenance records; nothing is trained.""",
}
EXAMPLE = {
    "evaluate": """\
  largebatch evaluate final.safetensors --network fully_connected \\
      --network-options width=256 --data mnist1d""",
    "sharpness": """\
  largebatch sharpness final.safetensors --network mine:network --network-options width=64 \\
      --data mnist1d --epsilon 0.001 0.0005 --max-evaluations 100 --out sharpness.json""",
    "interpolate": """\
  largebatch interpolate sb.safetensors lb.safetensors --network fully_connected \\
      --network-options width=256 --data mnist1d --out line.csv""",
    "verify-archive": """\
  largebatch verify-archive mnist1d.zip --unpack .
  snakemake --cores all --configfile results/mnist1d/config.yaml""",
}
NETWORK = (
    "or your own as module:function, which is called with input_shape, classes and the options and "
    "returns a torch.nn.Module"
)
NETWORK_OPTIONS = "such as width=256 depth=5 batchnorm=running, or one JSON object"
DATA = (
    "your own as module:function, or converted data, FOLDER/arrays.safetensors; "
    "LARGEBATCH_MIRROR names a folder of upstream files, LARGEBATCH_DOWNLOADS one to download to"
)
BATCHNORM = {
    "as_is": "as_is: what the network does in eval mode",
    "batch": "batch: statistics of the evaluation batch",
    "recompute": "recompute: running statistics, from the training set",
}
