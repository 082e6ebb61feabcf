#!/bin/sh
# needs: pip3 python3-pip
# Puts the server's package, from PyPI, into `lib` of the folder given: a copy of this one.
set -eu
cd "$1"
pip3 --quiet download --no-deps --dest . moto==5.2.2
python3 -m zipfile -e moto-*.whl lib
rm moto-*.whl
