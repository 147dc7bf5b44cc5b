#!/usr/bin/env bash
# get_tex.sh DIR: unpack a small private LaTeX into DIR, from packages of the Debian or
# Ubuntu distribution.  Needs apt-get and dpkg, but not root.  All files are in DIR.
set -euo pipefail
export LC_ALL=C
[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
[ ! -e "$1" ] || { echo "$0: $1 exists; remove it first" >&2; exit 2; }
mkdir -p "$(dirname "$1")"
dir=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
part=$dir.part                    # renamed to DIR after a successful test
wanted=(texlive-latex-base texlive-latex-recommended texlive-fonts-recommended lmodern)

step() { doing=$1; echo "TeX: $doing"; echo "== $doing" >> "$part/log"; }
finish() {
    [ $? -ne 0 ] && [ -e "$part" ] || return 0
    { tail -n 12 "$part/log"; echo "get_tex.sh failed while $doing"; } >&2
    rm -rf "$part"
}
rm -rf "$part"                    # left by a killed call
mkdir -p "$part"/{apt/lists/partial,apt/cache/archives/partial,debs,lib,bin,texmf/web2c}
trap finish EXIT
trap 'exit 143' HUP INT TERM

step "reading the package lists"
# Use the sources, proxies and keys of the system, but private state files.  The package
# status is empty, because apt-get does not list packages that are already installed.
# `#clear` removes hooks of other packages after an update, which act system-wide.
cat > "$part/apt/conf" <<END
#clear APT::Update;
Dir::State "$part/apt";
Dir::State::status "/dev/null";
Dir::Cache "$part/apt/cache";
APT::Sandbox::User "$(id -un)";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "2";
END
apt() { apt-get -q -c "$part/apt/conf" "$@" 2>> "$part/log"; }
apt update >> "$part/log" || true # one unreachable source is not an error
dpkg-query -W -f '${db:Status-Status} ${Package}\n' |
    sed -n 's/^installed //p' | grep '^lib' > "$part/apt/installed" || true
apt -s install "${wanted[@]}" | awk '$1 == "Inst" { print $2 }' > "$part/apt/closure"
# Of all dependencies, select TeX with its own library, whose version must match, and
# other libraries that are not installed.
{
    grep -E '^(texlive|lmodern|fonts-lmodern|libkpathsea)' "$part/apt/closure"
    grep '^lib' "$part/apt/closure" | grep -vxFf "$part/apt/installed" || true
} | sort -u > "$part/apt/packages"
mapfile -t packages < "$part/apt/packages"

step "downloading ${#packages[@]} packages"
(cd "$part/debs" && apt download "${packages[@]}" >> "$part/log")

step "unpacking"
for deb in "$part"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -xC "$part" --no-same-owner \
        --exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='*/source' \
        --exclude='*/fonts/afm' --exclude='*/fonts/opentype' 2>> "$part/log"
done
find "$part/usr/lib" "$part/lib" -mindepth 2 -name '*.so.*' \
    -exec mv -t "$part/debs" {} +
cd "$part/usr/bin"
[ ! -e bibtex.original ] || mv bibtex.original bibtex # the Debian package links it at installation
find . ! -type d ! -name 'pdf*tex' ! -name bibtex ! -name kpsewhich -delete
# Keep only the libraries of the remaining programs.
LD_LIBRARY_PATH=$part/debs ldd pdftex bibtex kpsewhich | awk '/=>/ { print $1 }' |
    sort -u | while read -r library; do
        [ ! -e "$part/debs/$library" ] || cp -L "$part/debs/$library" "$part/lib"
    done

step "configuring"
cd "$part"
share=usr/share/texlive/texmf-dist
# Read before texmf.cnf of the distribution.  Paths are relative, so that DIR can move.
# A missing font must be an error, not a call of Metafont.
cat > texmf/web2c/texmf.cnf <<'END'
TEXMFROOT = $SELFAUTOPARENT/usr/share/texlive
TEXMFDEBIAN = $SELFAUTOPARENT/usr/share/texmf
TEXMFSYSVAR = $SELFAUTOPARENT/texmf
TEXMF = {$TEXMFSYSVAR,!!$TEXMFDEBIAN,!!$TEXMFDIST}
TEXMFDBS = {!!$TEXMFDEBIAN,!!$TEXMFDIST}
MKTEXPK = 0
MKTEXTFM = 0
END
mkdir -p texmf/tex/generic/config texmf/fonts/map/pdftex
cp "$share/tex/generic/config/language.us" texmf/tex/generic/config/language.dat
# Replaces updmap, which needs Perl: concatenate the font maps of all packages, with each
# font once, because pdfTeX warns about duplicates.
{ echo ps2pk35.map; cat var/lib/tex-common/fontmap-cfg/*/*; } | awk '{ print $NF }' |
    while read -r map; do find usr/share -path "*/dvips/*/$map" -exec cat {} +; done |
    awk '!/^[%#*;]/ && NF && !seen[$1]++' > texmf/fonts/map/pdftex/pdftex.map
cat > bin/pdflatex <<'END'
#!/bin/sh
# Run the program of this name from the TeX installation that contains this script.
root=$(dirname "$(dirname "$(readlink -f "$0")")")
unset TEXMF TEXMFROOT TEXMFDIST TEXMFDEBIAN TEXMFSYSVAR TEXMFDBS TEXFORMATS
export TEXMFCNF="$root/texmf/web2c:$root/usr/share/texlive/texmf-dist/web2c"
export LD_LIBRARY_PATH="$root/lib" # set only for TeX
exec "$root/usr/bin/${0##*/}" "$@"
END
chmod +x bin/pdflatex
ln -s pdflatex bin/bibtex
ln -s pdflatex bin/kpsewhich
rm -rf usr/{lib,sbin}
find . -xtype l -delete           # dangling links to files that an installation would create
for tree in usr/share/texmf "$share"; do
    { echo "% ls-R -- filename database"; (cd "$tree" && ls -LAR ./); } > apt/ls-R
    mv apt/ls-R "$tree/ls-R"
done

step "making the LaTeX format"
mkdir -p texmf/web2c/pdftex       # TeX looks for pdflatex.fmt here
ln -s pdflatex bin/pdftex
bin/pdftex -ini -etex -interaction=batchmode -output-directory=texmf/web2c/pdftex \
    -jobname=pdflatex -translate-file=cp227.tcx '*pdflatex.ini' >> log 2>&1

step "testing"
mkdir try
cat > try/try.tex <<'END'
\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{lmodern,amsmath,amssymb,microtype,booktabs,graphicx,xcolor,colortbl}
\usepackage{array,float,etoolbox,geometry,caption,subcaption,natbib,url,hyperref}
\begin{document}
Text \emph{and} $\mathbb{E}[x^2]$ \url{a/b}, \fontfamily{ptm}\selectfont and Times.
\begin{tabular}{lr}\toprule a & \cellcolor{red} 1\\\bottomrule\end{tabular}
\end{document}
END
(cd try && ../bin/pdflatex -interaction=nonstopmode -halt-on-error try.tex) >> log
bin/kpsewhich plainnat.bst >> log
bin/bibtex --version >> log

cd "$(dirname "$dir")"
rm -rf "$part"/{apt,debs,try,etc,var}
mv "$part" "$dir"
rm "$dir/log"
echo "TeX: ready in $dir, $(du -sh "$dir" | cut -f1)"
