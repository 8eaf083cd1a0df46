"""What `make site` adds to MkDocs: pages from all over the repository, at the paths that they have in it.

So links between pages lead to the same files in the repository and on the site. Notebooks and the help of the command
line become pages, and files that a page links to come along. A public name without a page ends the build.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("*.md", "docs/**/*.md", "export/**/*.md", "benchmarks/**/*.md")
COMMAND_LINE = "docs/reference/command_line.md"
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
REQUEST = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
"""What a browser would fetch from elsewhere."""


def on_files(files: Files, config: Any) -> Files:
    """The pages of the repository, and what they link to, in place of what lies in docs/."""
    texts = {str(path.relative_to(ROOT)): path.read_text() for pattern in PAGES for path in sorted(ROOT.glob(pattern))}
    texts[COMMAND_LINE] = help_of_commands()
    pictures: dict[str, bytes] = {}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        texts[f"notebooks/{path.stem}.md"], found = as_page(path)
        pictures |= found
    linked = {name for page, text in texts.items() for name in linked_files(page, text)} - texts.keys()
    kept = [file for file in files if file.src_dir != config.docs_dir]
    made = [File.generated(config, name, content=links_to_pages(text)) for name, text in texts.items()]
    made += [File.generated(config, name, content=content) for name, content in pictures.items()]
    made += [File.generated(config, name, abs_src_path=str(ROOT / name)) for name in sorted(linked)]
    return Files([*kept, *made])


def linked_files(page: str, text: str) -> Iterator[str]:
    """Files of the repository, other than notebooks, to which a page links."""
    for link in LINK.findall(text):
        path = (ROOT / page).parent.joinpath(link).resolve()
        if path.is_file() and path.is_relative_to(ROOT) and path.suffix != ".ipynb":
            yield str(path.relative_to(ROOT))


def links_to_pages(text: str) -> str:
    """A page whose links to notebooks lead to their pages."""
    return re.sub(r"(\]\([^)#\s]+)\.ipynb\)", r"\1.md)", text)


def as_page(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and its pictures by path."""
    resources = {"unique_key": notebook.stem, "output_files_dir": "pictures"}
    text, resources = MarkdownExporter().from_filename(str(notebook), resources)
    return text, {f"notebooks/{name}": content for name, content in resources["outputs"].items()}


def help_of_commands() -> str:
    """The help of every command of `keras-segnet`, as one page."""
    command = (sys.executable, "-m", "typer", "--app", "app", "keras_segnet.cli.main")
    name = ("utils", "docs", "--name", "keras-segnet", "--title", "The command line")
    return subprocess.run([*command, *name], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def on_post_page(output: str, page: Any, config: Any) -> None:
    """Ends the build if a page would make a browser fetch something from elsewhere."""
    if found := REQUEST.search(output):
        raise PluginError(f"{page.file.src_uri} is not to be read offline: {found[0]}")


def on_env(env: Any, config: Any, files: Files) -> None:
    """Ends the build if a public name is not in the reference."""
    entries = config.plugins["mkdocstrings"].handlers.inventory
    package = griffe.load("keras_segnet", search_paths=[str(ROOT)])
    pages = {path.stem: path.read_text() for path in (ROOT / "docs" / "reference").glob("*.md")}
    missing = []
    for name in package.exports:
        if name not in pages:  # A function: its page has it at the place where it is written.
            missing += [name] if not re.search(rf"\b{name}\b", pages["functions"] + pages["models"]) else []
            continue
        module = f"keras_segnet.{name}"
        # Of a function in a module of its own name, the module is what stands at the shorter path.
        names = package[name].exports or ()
        missing += [f"{module}.{n}" for n in names if not {f"{module}.{n}", f"{module}.{n}.{n}"} & entries.keys()]
    if missing:
        raise PluginError(f"These are public and have no entry in docs/reference/: {', '.join(missing)}.")
