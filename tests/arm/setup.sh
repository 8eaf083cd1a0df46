#!/usr/bin/env bash
# Puts what runs and builds programs for aarch64 into a folder, without root, on Debian 12:
#   qemu-aarch64-static   the emulator          root/   a C library and Python for aarch64
#   site/                 the three packages    cross/  a compiler for aarch64
# usage: setup.sh FOLDER PYTHON, where PYTHON has the packages whose versions are taken over.
set -euo pipefail
folder=$1
python=$2
rm -rf "$folder.partial"
mkdir -p "$folder.partial"
cd "$folder.partial"

LIBRARIES=(libc6 libstdc++6 libgcc-s1 zlib1g libexpat1 libssl3 libffi8 libbz2-1.0 liblzma5 libsqlite3-0 libuuid1
    python3.11-minimal libpython3.11-minimal libpython3.11-stdlib)
COMPILER=(g++-12-aarch64-linux-gnu gcc-12-aarch64-linux-gnu cpp-12-aarch64-linux-gnu binutils-aarch64-linux-gnu
    libc6-dev-arm64-cross libc6-arm64-cross libstdc++-12-dev-arm64-cross libstdc++6-arm64-cross
    libgcc-12-dev-arm64-cross libgcc-s1-arm64-cross linux-libc-dev-arm64-cross libisl23 libmpc3 libmpfr6)

# Package lists of its own, since the system's belong to root and may lack this architecture.
download() {
    local architecture=$1
    shift
    mkdir -p "state-$architecture/lists/partial" "cache-$architecture/archives/partial" "$architecture"
    local options=(-qq -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture"
        -o "Dir::State=$PWD/state-$architecture" -o Dir::State::status=/dev/null -o "Dir::Cache=$PWD/cache-$architecture"
        -o Acquire::Languages=none -o APT::Sandbox::User=)
    apt-get "${options[@]}" update
    (cd "$architecture" && apt-get "${options[@]}" download "$@")
}

unpack() {
    for package in "$1"/*.deb; do dpkg-deb -x "$package" "$2"; done
}

download arm64 "${LIBRARIES[@]}"
unpack arm64 root
download amd64 qemu-user-static "${COMPILER[@]}"
dpkg-deb --fsys-tarfile amd64/qemu-user-static_*.deb | tar xf - --strip-components=3 ./usr/bin/qemu-aarch64-static
rm amd64/qemu-user-static_*.deb
unpack amd64 cross

version() { "$python" -c "from importlib.metadata import version; print(version('$1'))"; }
"$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.11 --dest wheels \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
    "ai-edge-litert==$(version ai-edge-litert)" "opencv-python-headless==$(version opencv-python-headless)" "numpy>=2,<2.5" \
    "flatbuffers==$(version flatbuffers)"
for wheel in wheels/*.whl; do "$python" -m zipfile -e "$wheel" site; done

# XNNPACK reads /proc/cpuinfo; the host's, which the emulator shows otherwise, describes another kind of processor.
mkdir -p root/proc
for field in "processor: 0" "BogoMIPS: 48.00" "Features: fp asimd evtstrm crc32 cpuid" "CPU implementer: 0x41" \
    "CPU architecture: 8" "CPU variant: 0x0" "CPU part: 0xd08" "CPU revision: 3" ""; do
    echo "$field"
done > root/proc/cpuinfo

rm -rf arm64 amd64 state-* cache-* wheels
rm -rf "$folder"
mv "$folder.partial" "$folder"
