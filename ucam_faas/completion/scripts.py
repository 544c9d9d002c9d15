"""The scripts of shells, and how each of them reads candidates.

An answer is a line with the kind of candidates, and a line for each. The scripts ask the command
that was typed, so that each environment completes its own version.
"""

from __future__ import annotations

from collections.abc import Sequence

from ucam_faas.completion.candidates import Candidates

_BASH = r"""# bash completion of ucam-faas
_ucam_faas() {
    local current="${COMP_WORDS[COMP_CWORD]}" kind line IFS=$'\n'
    local -a words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    COMPREPLY=()
    {
        read -r kind
        case $kind in
            files | folders)
                [ "$current" != = ] || current=
                [ "$kind" = files ] && line=-f || line=-d
                COMPREPLY=($(compgen "$line" -- "$current"))
                compopt -o filenames 2>/dev/null
                ;;
            *) while read -r line; do COMPREPLY+=("$line"); done ;;
        esac
    } < <("${COMP_WORDS[0]/#\~/$HOME}" completion bash -- "${words[@]}" 2>/dev/null)
}
complete -F _ucam_faas ucam-faas
"""
_ZSH = r"""#compdef ucam-faas
# zsh completion of ucam-faas
_ucam_faas() {
    local -a lines candidates
    local program="${words[1]/#\~/$HOME}"
    lines=("${(@f)$("$program" completion zsh -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    candidates=("${(@)lines[2,-1]}")
    case $lines[1] in
        files) compset -P '--*='; _files ;;
        folders) compset -P '--*='; _files -/ ;;
        *) (( $#candidates )) && _describe -V ucam-faas candidates ;;
    esac
}
if [ "$funcstack[1]" = _ucam_faas ]; then
    _ucam_faas "$@"
else
    compdef _ucam_faas ucam-faas
fi
"""
_FISH = r"""# fish completion of ucam-faas
function __ucam_faas_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] completion fish -- $words[2..-1] "$current" 2>/dev/null)
    set -l option (string match -r -- '^--[^=]*=' "$current")
    set -l path (string replace -- "$option" '' "$current")
    switch "$lines[1]"
        case files
            printf "$option%s\n" (__fish_complete_path "$path")
        case folders
            printf "$option%s\n" (__fish_complete_directories "$path")
        case '*'
            printf '%s\n' $lines[2..-1]
    end
end
complete -c ucam-faas -f -a '(__ucam_faas_complete)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def words_of(shell: str, words: Sequence[str]) -> list[str]:
    """Return the words of a command line as a shell's script passes them.

    bash splits them at `=`, and each `=` is a word.
    """
    if shell != "bash":
        return list(words)
    joined: list[str] = []
    for number, word in enumerate(words):
        after = number and words[number - 1] == "="
        if joined and joined[-1].startswith("--") and (word == "=" or after):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def answer(shell: str, candidates: Candidates) -> str:
    """Return the candidates as a shell's script reads them."""
    lines = [_LINES[shell](word, help) for word, help in candidates.words]
    return "\n".join([candidates.kind or "words", *lines]) + "\n"


def _for_bash(word: str, help: str) -> str:
    return word.rpartition("=")[2] if word.startswith("--") else word  # `=` ends a word there


def _for_zsh(word: str, help: str) -> str:
    return f"{word}:{help}" if help else word


def _for_fish(word: str, help: str) -> str:
    return f"{word}\t{help}" if help else word


_LINES = {"bash": _for_bash, "zsh": _for_zsh, "fish": _for_fish}
