"""``frdiff-tune generate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def generate(
    policy: Annotated[str, typer.Argument(help="A policy file, or a repository of the hub (user/repo).", show_default=False)],
    prompts: Annotated[list[str], typer.Argument(metavar="PROMPT...", help="Prompts, or classes.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the pictures.")] = Path("pictures"),
    seed: Annotated[int, typer.Option(min=0, help="Of the starting noise, the same for every prompt.")] = 0,
    image: Annotated[Path | None, typer.Option(help="Picture to start from, for img2img, inpainting and the like.")] = None,
    mask: Annotated[Path | None, typer.Option(help="What of it is drawn anew: white, on black.")] = None,
    control: Annotated[Path | None, typer.Option(help="Control picture, where it is apart from --image.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Also draw the reference, and both side by side.")] = False,
    study: Annotated[str, typer.Option(help="Study that says how the pipeline is called; the policy's own.")] = "",
    model: Annotated[str, typer.Option(help="Model to load; the one that the policy names.")] = "",
    device: Annotated[str, typer.Option(help="cuda or cpu; the GPU if there is one.")] = "",
    dtype: Annotated[str, typer.Option(help="float32, float16 or bfloat16; the study's.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Draw pictures with a policy on.

    With --compare, the unaccelerated pipeline draws the same prompts from the same noise, and side_by_side.png shows both with
    their times and LPIPS.

    [dim]Example:[/dim]  frdiff-tune generate policy.json "a fox on a blue background" --compare
    [dim]Example:[/dim]  frdiff-tune generate inpaint.json "a fox" --image owl.png --mask head.png
    """
    from frdiff_tune.cli.console import errors, print_json, progress, results
    from frdiff_tune.policy import Policy
    from frdiff_tune.report.cases import typed_cases
    from frdiff_tune.report.gallery import drawn_json, drawn_lines, save_pairs, save_pictures
    from frdiff_tune.report.setting import setting_of

    loaded = Policy.load(policy)
    setting = setting_of(loaded, study=study, model=model, device=device, dtype=dtype)
    if compare and setting.note:
        errors().print(setting.note, style="yellow", soft_wrap=True)
    pipe = setting.load()
    images = {"--image": image, "--mask": mask, "--control": control}
    cases = typed_cases(pipe, prompts, seed, {option: path for option, path in images.items() if path is not None})
    save = save_pairs if compare else save_pictures
    drawn = []
    with progress("drawing", len(cases)) as done:
        for one in save(pipe, loaded, cases, setting, output):
            drawn.append(one)
            done(len(drawn))
    if as_json:
        print_json(drawn_json(drawn))
        return
    for line in drawn_lines(drawn):
        results().print(line, markup=False, soft_wrap=True)
