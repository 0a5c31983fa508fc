import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { defaultThreads } from '../runtime/host/machine.ts'
import { median, spread } from './statistics.ts'

/**
 * `npm run bench -- --model F.gguf`: mistralrs and llama.cpp on the same file, same threads, same tokens, in alternating
 * runs, since machines drift more from minute to minute than the engines differ. Needs bench/peers/requirements.txt.
 */

interface Row {
  test: string
  promptTokens: number
  genTokens: number
  tokensPerSecond: { p50: number }
}

const { values } = parseArgs({
  options: {
    model: { type: 'string', multiple: true },
    threads: { type: 'string', default: String(defaultThreads()) },
    'prompt-len': { type: 'string', default: '512' },
    'gen-len': { type: 'string', default: '128' },
    depth: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
    isa: { type: 'string' },
    python: { type: 'string', default: process.env.PYTHON ?? 'python3' },
  },
})

const root = join(import.meta.dirname, '..')
const common = ['--prompt-len', values['prompt-len'], '--gen-len', values['gen-len']]
common.push('--depth', values.depth, '--threads', values.threads, '--iterations', '1')

function rowsOf(command: string, args: string[]): Row[] {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8' })
  if (result.status !== 0) throw new Error(`${command} ${args[0]} failed:\n${result.stderr}`)
  return (JSON.parse(result.stdout) as { rows: Row[] }).rows
}

console.log(
  `${cpus()[0]?.model} · ${values.threads} threads · isa ${values.isa ?? 'best'} · ${values.rounds} rounds\n`,
)
console.log('| model | test | mistralrs tok/s (range) | llama.cpp tok/s (range) | ratio |')
console.log('|---|---|---|---|---|')
for (const model of values.model ?? []) {
  const ours = new Map<string, number[]>()
  const theirs = new Map<string, number[]>()
  const collect = (into: Map<string, number[]>, rows: Row[]) => {
    for (const row of rows) {
      const key =
        row.test === 'prefill'
          ? `prefill ${row.promptTokens}`
          : `decode ${row.genTokens} @ ${row.promptTokens}`
      into.set(key, [...(into.get(key) ?? []), row.tokensPerSecond.p50])
    }
  }
  const isa = values.isa === undefined ? [] : ['--isa', values.isa]
  for (let round = 0; round < Number(values.rounds); round++) {
    collect(
      ours,
      rowsOf(process.execPath, [
        'runtime/cli/main.ts',
        'bench',
        '-f',
        model,
        '--json',
        ...isa,
        ...common,
      ]),
    )
    collect(
      theirs,
      rowsOf(values.python, ['bench/peers/time_llama_cpp.py', '--model', model, ...common]),
    )
  }
  for (const [test, mine] of ours) {
    const peer = theirs.get(test) ?? []
    const ratio = (median(mine) / median(peer)).toFixed(2)
    const name = model.split('/').at(-1)
    console.log(
      `| ${name} | ${test} | ${median(mine).toFixed(1)} (${spread(mine)}) | ${median(peer).toFixed(1)} (${spread(peer)}) | ${ratio} |`,
    )
  }
}
