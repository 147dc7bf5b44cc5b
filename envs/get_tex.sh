#!/usr/bin/env bash
# get_tex.sh DIR: a small private TeX in DIR, from the distribution's own packages.
# Needs apt-get and dpkg but no root; installs nothing: removing DIR removes it all.
set -euo pipefail
export LC_ALL=C
[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
[ ! -e "$1" ] || { echo "$0: $1 is there already: remove it first" >&2; exit 2; }
mkdir -p "$(dirname "$1")"
dir=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
part=$dir.part                    # becomes DIR in one step, once it is proven to work
wanted=(texlive-latex-base texlive-latex-recommended texlive-fonts-recommended lmodern)

step() { doing=$1; echo "TeX: $doing"; echo "== $doing" >> "$part/log"; }
finish() {
    [ $? -ne 0 ] && [ -e "$part" ] || return 0
    { tail -n 12 "$part/log"; echo "get_tex.sh failed while $doing"; } >&2
    rm -rf "$part"
}
rm -rf "$part"                    # what a killed call has left
mkdir -p "$part"/{apt/lists/partial,apt/cache/archives/partial,debs,lib,bin,texmf/web2c}
trap finish EXIT
trap 'exit 143' HUP INT TERM

step "reading the package lists"
# On top of the system's own sources, proxies and keys: a private state, and an empty
# package status, because apt-get hides the parts of a TeX that is partly installed.
# Cleared are hooks that other packages run after an update: they act system-wide.
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
apt update >> "$part/log" || true # one dead source of many is no reason to stop
dpkg-query -W -f '${db:Status-Status} ${Package}\n' |
    sed -n 's/^installed //p' | grep '^lib' > "$part/apt/installed" || true
apt -s install "${wanted[@]}" | awk '$1 == "Inst" { print $2 }' > "$part/apt/closure"
# Of all that they depend on: TeX with its own library, which has to match, and the
# other libraries that are not here yet.
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
[ ! -e bibtex.original ] || mv bibtex.original bibtex # Debian links it at installation
find . ! -type d ! -name 'pdf*tex' ! -name bibtex ! -name kpsewhich -delete
# Most libraries are for the programs that have just gone.
LD_LIBRARY_PATH=$part/debs ldd pdftex bibtex kpsewhich | awk '/=>/ { print $1 }' |
    sort -u | while read -r library; do
        [ ! -e "$part/debs/$library" ] || cp -L "$part/debs/$library" "$part/lib"
    done

step "configuring"
cd "$part"
share=usr/share/texlive/texmf-dist
# Read before the distribution's texmf.cnf; no absolute path, so that DIR can move.
# A font that is missing must be an error, not a call of Metafont.
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
# What updmap does, without its Perl: the maps that the packages register, and each
# font once, for pdfTeX warns of a second entry.
{ echo ps2pk35.map; cat var/lib/tex-common/fontmap-cfg/*/*; } | awk '{ print $NF }' |
    while read -r map; do find usr/share -path "*/dvips/*/$map" -exec cat {} +; done |
    awk '!/^[%#*;]/ && NF && !seen[$1]++' > texmf/fonts/map/pdftex/pdftex.map
cat > bin/pdflatex <<'END'
#!/bin/sh
# Run the program of this name from the TeX around this folder, wherever that is now.
root=$(dirname "$(dirname "$(readlink -f "$0")")")
unset TEXMF TEXMFROOT TEXMFDIST TEXMFDEBIAN TEXMFSYSVAR TEXMFDBS TEXFORMATS
export TEXMFCNF="$root/texmf/web2c:$root/usr/share/texlive/texmf-dist/web2c"
export LD_LIBRARY_PATH="$root/lib" # here, not in the caller: only TeX may see it
exec "$root/usr/bin/${0##*/}" "$@"
END
chmod +x bin/pdflatex
ln -s pdflatex bin/bibtex
ln -s pdflatex bin/kpsewhich
rm -rf usr/{lib,sbin}
find . -xtype l -delete           # links to what an installation would have generated
for tree in usr/share/texmf "$share"; do
    { echo "% ls-R -- filename database"; (cd "$tree" && ls -LAR ./); } > apt/ls-R
    mv apt/ls-R "$tree/ls-R"
done

step "making the format"
mkdir -p texmf/web2c/pdftex       # where TeX looks for pdflatex.fmt
ln -s pdflatex bin/pdftex
bin/pdftex -ini -etex -interaction=batchmode -output-directory=texmf/web2c/pdftex \
    -jobname=pdflatex -translate-file=cp227.tcx '*pdflatex.ini' >> log 2>&1

step "trying it"
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
