import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../cli/command.ts'

export interface Instruction {
  name: string
  /** Flags such as `--from=build`, without their dashes. */
  flags: Record<string, string>
  args: string[]
}

export interface Stage {
  base: string
  name: string | undefined
  instructions: Instruction[]
}

/** Reads our own Dockerfile: instructions, and of their arguments words and the JSON of exec form. */
export function readDockerfile(): Stage[] {
  const lines = readFileSync(join(root, 'Dockerfile'), 'utf8')
    .split('\n')
    .filter(line => !line.startsWith('#'))
    .join('\n')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter(line => line.trim() !== '')
  const stages: Stage[] = []
  const defaults = new Map<string, string>() // of each ARG, as FROM has it: ${NAME}
  for (const line of lines) {
    const { name, flags, args } = parse(line)
    const [first = ''] = args
    if (name === 'FROM') {
      stages.push({ base: defaults.get(first) ?? first, name: args[2], instructions: [] })
    } else if (name === 'ARG') {
      const [key, value = ''] = first.split('=')
      defaults.set(`\${${key}}`, value)
    } else stages.at(-1)?.instructions.push({ name, flags, args })
  }
  return stages
}

function parse(line: string): Instruction {
  const [, name = '', all = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? []
  const flags: Record<string, string> = {}
  const rest = all
    .replace(/--([\w-]+)=(\S+)\s+/g, (_, key: string, value: string) => {
      flags[key] = value
      return ''
    })
    // Of a HEALTHCHECK.
    .replace(/^CMD /, '')
  const args = /^\[.*\]$/.test(rest) ? (JSON.parse(rest) as string[]) : rest.trim().split(/\s+/)
  return { name, flags, args }
}

/** The instructions of one name in a stage. */
export function instructions(stage: Stage | undefined, name: string): Instruction[] {
  return stage?.instructions.filter(instruction => instruction.name === name) ?? []
}

/** The command and the health check of a service of compose.yaml. */
export function composeService(service: string): { command: string[]; healthcheck: string[] } {
  const text = readFileSync(join(root, 'compose.yaml'), 'utf8')
  const body = new RegExp(`^  ${service}:\n((?: {4}.*\n|\n)+)`, 'm').exec(text)?.[1] ?? ''
  const array = (key: string) =>
    JSON.parse(new RegExp(`^ +${key}: (\\[.*\\])$`, 'm').exec(body)?.[1] ?? '[]') as string[]
  return { command: array('command'), healthcheck: array('test') }
}
