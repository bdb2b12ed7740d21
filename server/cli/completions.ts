import { type Command, COMMON_OPTIONS } from './command.ts'
import { usage } from './exit-codes.ts'

export const completions: Command = {
  name: 'completions',
  args: 'SHELL',
  summary: 'A script that completes commands in bash, zsh or fish',
  details: `bash:  gatehouse completions bash > ~/.local/share/bash-completion/completions/gatehouse
zsh:   gatehouse completions zsh > ~/.zfunc/_gatehouse   (with ~/.zfunc in fpath, before compinit)
fish:  gatehouse completions fish > ~/.config/fish/completions/gatehouse.fish`,
  run: async ({ args: [shell = ''], out }) => {
    const script = SCRIPTS[shell]
    if (!script) throw usage(`There are completions for ${Object.keys(SCRIPTS).join(', ')}, not for "${shell}"`)
    const { commands } = await import('./commands.ts')
    out.write(script(commands))
  },
}

const optionsOf = (command: Command): string[] =>
  Object.keys({ ...command.options, ...COMMON_OPTIONS }).map((name) => `--${name}`)

/** First words, then the second words of those that have some. */
function wordsOf(commands: Command[]): Map<string, string[]> {
  const words = new Map<string, string[]>()
  for (const { name } of commands) {
    const [first = '', second] = name.split(' ')
    words.set(first, [...words.get(first) ?? [], ...second ? [second] : []])
  }
  return words
}

const SCRIPTS: Record<string, (commands: Command[]) => string> = { bash, zsh, fish }

function bash(commands: Command[]): string {
  const words = wordsOf(commands)
  const seconds = [...words].filter(([, second]) => second.length > 0)
  return `_gatehouse() {
  local word="\${COMP_WORDS[COMP_CWORD]}" first="\${COMP_WORDS[1]}" choices=""
  if [[ $COMP_CWORD -eq 1 ]]; then
    choices="${[...words.keys()].join(' ')}"
  elif [[ $word == -* ]]; then
    case "$first \${COMP_WORDS[2]}" in
${
    commands.map((row) =>
      `      "${row.name}${row.name.includes(' ') ? '' : ' '}"*) choices="${optionsOf(row).join(' ')}" ;;\n`
    ).join('')
  }      *) choices="${Object.keys(COMMON_OPTIONS).map((name) => `--${name}`).join(' ')}" ;;
    esac
  elif [[ $COMP_CWORD -eq 2 ]]; then
    case "$first" in
${seconds.map(([first, second]) => `      ${first}) choices="${second.join(' ')}" ;;\n`).join('')}    esac
  fi
  COMPREPLY=($(compgen -W "$choices" -- "$word"))
}
complete -o default -F _gatehouse gatehouse
`
}

function zsh(commands: Command[]): string {
  return `#compdef gatehouse
autoload -U +X bashcompinit && bashcompinit
${bash(commands)}`
}

function fish(commands: Command[]): string {
  const lines = ['complete -c gatehouse -f']
  for (const [first, seconds] of wordsOf(commands)) {
    const summary = commands.find((row) => row.name === first || row.alias === first)?.summary ?? ''
    lines.push(`complete -c gatehouse -n __fish_use_subcommand -a ${first} -d ${quoted(summary)}`)
    for (const second of seconds) {
      const condition = `__fish_seen_subcommand_from ${first}; and not __fish_seen_subcommand_from ${seconds.join(' ')}`
      const row = commands.find(({ name }) => name === `${first} ${second}`)
      lines.push(`complete -c gatehouse -n ${quoted(condition)} -a ${second} -d ${quoted(row?.summary ?? '')}`)
    }
  }
  for (const command of commands) {
    const condition = command.name.split(' ').map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ')
    for (const [name, { short, summary, value }] of Object.entries({ ...command.options, ...COMMON_OPTIONS })) {
      const letter = short ? ` -s ${short}` : ''
      lines.push(
        `complete -c gatehouse -n ${quoted(condition)} -l ${name}${letter}${value ? ' -r' : ''} -d ${quoted(summary)}`,
      )
    }
  }
  return `${lines.join('\n')}\n`
}

const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
