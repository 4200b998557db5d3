"""Runs onnx.checker (full check) and strict shape inference over every .onnx file of a folder.

    python tests/onnx_check.py FOLDER

Needs the package `onnx`. Exit 0 when every file passes, 1 when one fails, 2 when there is none.
"""

import pathlib
import sys

import onnx


def check(path: pathlib.Path) -> str:
    # By path, so that side files of weights are found.
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path))
    declared = {v.name: v for v in model.graph.value_info}
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(
        bare, check_type=True, strict_mode=True, data_prop=True
    )
    compared = 0
    for value in inferred.graph.value_info:
        ours = declared.get(value.name)
        if ours is None:
            raise ValueError(f"{value.name}: no value_info in the file")
        a, b = ours.type.tensor_type, value.type.tensor_type
        if a.elem_type != b.elem_type:
            raise ValueError(f"{value.name}: element type {a.elem_type}, onnx infers {b.elem_type}")
        if len(a.shape.dim) != len(b.shape.dim):
            raise ValueError(f"{value.name}: rank {len(a.shape.dim)}, onnx infers {len(b.shape.dim)}")
        for x, y in zip(a.shape.dim, b.shape.dim):
            if y.HasField("dim_value"):
                compared += 1
                if not x.HasField("dim_value") or x.dim_value != y.dim_value:
                    raise ValueError(f"{value.name}: {x} but onnx infers {y}")
            elif y.dim_param and not y.dim_param.startswith("unk__"):
                compared += 1
                if x.dim_param != y.dim_param:
                    raise ValueError(f"{value.name}: {x} but onnx infers {y}")
    nodes = len(model.graph.node)
    return f"{nodes} nodes, {len(declared)} values, {compared} dimensions agree"


def main() -> int:
    paths = sorted(pathlib.Path(sys.argv[1]).rglob("*.onnx"))
    if not paths:
        print(f"no .onnx file under {sys.argv[1]}")
        return 2
    failed = 0
    for path in paths:
        try:
            print(f"ok      {path.name}: {check(path)}")
        except Exception as fault:  # every fault of every file is wanted
            failed += 1
            print(f"FAILED  {path.name}: {fault}")
    print(f"{len(paths) - failed} of {len(paths)} files pass onnx {onnx.__version__}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
