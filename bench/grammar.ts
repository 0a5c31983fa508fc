import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import type { GenerateJob, Grammar } from '../edge/engine.ts'
import { loadLocalEngine } from '../runtime/engine/createLocalEngine.ts'
import type { LocalEngine } from '../runtime/engine/localEngine.ts'

/**
 * What a JSON schema costs a model's decoding: the same number of tokens with and without one, in turns. Needs a folder or GGUF
 * file: `node bench/grammar.ts -m PATH`.
 */
const { values } = parseArgs({
  options: {
    model: { type: 'string', short: 'm' },
    tokens: { type: 'string', default: '128' },
    rounds: { type: 'string', default: '7' },
    threads: { type: 'string', default: '2' },
  },
})
const { model: path } = values
if (path === undefined) throw new Error('which model? -m PATH')
const numTokens = Number(values.tokens)
const numRounds = Number(values.rounds)

/** Never complete within the tokens of a run, and of many kinds of places. */
const schema: Grammar = {
  type: 'json_schema',
  schema: {
    type: 'array',
    items: {
      type: 'object',
      properties: {
        name: { type: 'string', minLength: 1, maxLength: 40 },
        note: { type: 'string' },
        count: { type: 'integer', minimum: 0, maximum: 1000 },
        kind: { enum: ['small', 'medium', 'large'] },
        tags: { type: 'array', items: { type: 'string', pattern: '^[a-z ]+$' }, maxItems: 3 },
      },
      required: ['name', 'note', 'count', 'kind', 'tags'],
      additionalProperties: false,
    },
    minItems: 1000,
  },
}

async function decode(engine: LocalEngine, grammar: Grammar | undefined, seed: number) {
  const job: GenerateJob = {
    model: 'default',
    prompt: { kind: 'text', prompts: ['A list of things in a house, as JSON:\n'] },
    n: 1,
    maxTokens: numTokens,
    sampling: { temperature: 0.7, seed },
    stop: [],
    ...(grammar ? { grammar } : { ignoreEos: true }),
  }
  const { events } = await engine.submit(job, new AbortController().signal)
  for await (const item of events) {
    for (const event of item) {
      if (event.kind === 'usage') return (event.completionTokens - 1) / (event.completionMs / 1000)
    }
  }
  throw new Error('the run ended without usage')
}

const engine = await loadLocalEngine({
  path,
  id: 'bench',
  threads: Number(values.threads),
  maxSeqs: 1,
  maxBatchedTokens: 128,
  kvTokens: 2048,
  prefixCache: true,
})
const rates = { plain: [] as number[], schema: [] as number[] }
await decode(engine, undefined, 0)
const first = performance.now()
await decode(engine, schema, 0)
console.log(`first run with the schema: ${Math.round(performance.now() - first)} ms`)
/** Longest turns of the event loop. */
const turns = { plain: 0, schema: 0 }
let mode: 'plain' | 'schema' = 'plain'
let last = performance.now()
const watch = setInterval(() => {
  turns[mode] = Math.max(turns[mode], performance.now() - last - 1)
  last = performance.now()
}, 1)
for (let round = 1; round <= numRounds; round++) {
  mode = 'plain'
  rates.plain.push(await decode(engine, undefined, round))
  mode = 'schema'
  rates.schema.push(await decode(engine, schema, round))
}
clearInterval(watch)
const median = (list: number[]) => list.toSorted((a, b) => a - b)[list.length >> 1] ?? 0
const [plain, constrained] = [median(rates.plain), median(rates.schema)]
const { isa, threads } = engine.report.native
console.log(`${cpus()[0]?.model}, ${isa}, ${threads} threads, Node ${process.version}`)
console.log(`${path}: ${numTokens} tokens, ${numRounds} rounds in turns, medians`)
console.log(`plain ${plain.toFixed(1)} tokens/s (${spread(rates.plain)})`)
console.log(`JSON schema ${constrained.toFixed(1)} tokens/s (${spread(rates.schema)})`)
const slowdown = (1 - constrained / plain) * 100
console.log(`slowdown ${slowdown.toFixed(1)} %`)
console.log(
  `longest turn of the event loop: ${turns.plain.toFixed(1)} ms plain, ${turns.schema.toFixed(1)} ms with`,
)
await engine.dispose()

function spread(list: number[]): string {
  return `${Math.min(...list).toFixed(1)}-${Math.max(...list).toFixed(1)}`
}
