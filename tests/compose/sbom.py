"""sbom.py DIR BUILD IMAGE...: what `rookery images --sbom DIR` wrote of each image is valid SPDX, and names every Debian package of
which a program of the image loads a library, in its version. BUILD is the image of the stage in which it was built, whose dpkg
knows. Root, podman. Says what is wrong, a line each."""

import contextlib
import os
import re
import subprocess
import sys

from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document


@contextlib.contextmanager
def files_of(image):
    """Its root directory."""
    try:
        yield podman("image", "mount", image).strip()
    finally:
        podman("image", "unmount", image)


def podman(*words):
    return subprocess.run(["podman", *words], check=True, capture_output=True, text=True).stdout


def chroot(root, *words):
    return subprocess.run(["chroot", root, *words], check=True, capture_output=True, text=True).stdout


def libraries(root):
    """What the loader of the image loads for its programs."""
    found = set()
    for name in os.listdir(f"{root}/usr/bin"):
        said = chroot(root, "/lib64/ld-linux-x86-64.so.2", "--list", f"/usr/bin/{name}")
        found.update(re.findall(r"(/\S+) \(0x", said))
    return found


def package(build, library):
    """The package of a file, and its version; dpkg may know the file by the path it had before /lib became a link."""
    path = chroot(build, "realpath", library).strip()
    for known in path, path.removeprefix("/usr"):
        with contextlib.suppress(subprocess.CalledProcessError):
            name = chroot(build, "dpkg-query", "--search", known).split(":")[0]
            return name, chroot(build, "dpkg-query", "--show", "--showformat", "${Version}", name)
    return library, "?"


def check(directory, build, image):
    """Yields what is wrong."""
    title = re.sub(r"^.*/|:.*$", "", image)
    document = parse_file(f"{directory}/{title}.spdx.json")
    for message in validate_full_spdx_document(document):
        yield f"{title}: {message.validation_message}"
    listed = {(p.name, p.version) for p in document.packages}
    if title not in {name for name, _ in listed}:
        yield f"{title}: its list does not name itself"
    with files_of(image) as root:
        loaded = libraries(root)
    wanted = {package(build, library) for library in loaded}
    for name, version in sorted(wanted - listed):
        yield f"{title} loads a library of {name} {version}, which its list does not name"
    print(f"{title}: {len(listed)} packages, {len(loaded)} libraries of {len(wanted)} of them")


def main():
    directory, stage, *images = sys.argv[1:]
    with files_of(stage) as build:
        wrong = [line for image in images for line in check(directory, build, image)]
    for line in wrong:
        print(line)
    sys.exit(bool(wrong) or not images)


main()
