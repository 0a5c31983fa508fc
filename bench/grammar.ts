import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import type { GenerateJob, Grammar, ToolDefinition } from '../edge/engine.ts'
import { loadLocalEngine } from '../runtime/engine/createLocalEngine.ts'
import type { LocalEngine } from '../runtime/engine/localEngine.ts'
import { median, spread } from './statistics.ts'

/**
 * What a JSON schema or a forced call costs a model's decoding, with and without jumps over what has no alternative, in turns.
 * Needs a folder or GGUF file: `node bench/grammar.ts -m PATH`.
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

/** A call of a tool as agents declare them: forced, and then of properties with long names. */
const ticket: ToolDefinition = {
  type: 'function',
  function: {
    name: 'create_support_ticket',
    strict: true,
    parameters: {
      type: 'object',
      properties: {
        customer_identifier: { type: 'integer', minimum: 1, maximum: 999_999 },
        problem_description: { type: 'string', maxLength: 60 },
        affected_component: { enum: ['billing_service', 'billing_portal', 'login_page'] },
        requires_escalation: { type: 'boolean' },
      },
      required: [
        'customer_identifier',
        'problem_description',
        'affected_component',
        'requires_escalation',
      ],
      additionalProperties: false,
    },
  },
}

const list = { kind: 'text' as const, prompts: ['A list of things in a house, as JSON:\n'] }
const workloads: Record<string, Partial<GenerateJob>> = {
  plain: { prompt: list, ignoreEos: true },
  'JSON schema': { prompt: list, grammar: schema },
  'tool call': {
    prompt: {
      kind: 'chat',
      messages: [{ role: 'user', content: 'Customer 1200 cannot open the page of bills. Help!' }],
      tools: [ticket],
      toolChoice: { mode: 'required' },
      parallelToolCalls: false,
    },
  },
}

interface Run {
  tokensPerSecond: number
  stepsPerToken: number
  /** From the job to the last token. */
  ms: number
}

async function decode(
  engine: LocalEngine,
  workload: Partial<GenerateJob>,
  seed: number,
): Promise<Run> {
  const job: GenerateJob = {
    model: 'default',
    prompt: list,
    n: 1,
    maxTokens: numTokens,
    sampling: { temperature: 0.7, seed },
    stop: [],
    ...workload,
  }
  const before = engine.stats().steps
  const started = performance.now()
  const { events } = await engine.submit(job, new AbortController().signal)
  for await (const item of events) {
    for (const event of item) {
      if (event.kind !== 'usage') continue
      const { completionTokens, completionMs } = event
      return {
        tokensPerSecond: (completionTokens - 1) / (completionMs / 1000),
        stepsPerToken: (engine.stats().steps - before) / completionTokens,
        ms: performance.now() - started,
      }
    }
  }
  throw new Error('the run ended without usage')
}

const load = (jumpAhead: boolean) =>
  loadLocalEngine({
    path,
    id: 'bench',
    threads: Number(values.threads),
    backend: 'cpu',
    maxSeqs: 1,
    maxBatchedTokens: 128,
    kvTokens: 2048,
    prefixCache: true,
    parsers: { toolCalls: 'hermes' },
    jumpAhead,
  })
const drawing = await load(false)
const jumping = await load(true)
const cases = Object.entries(workloads).flatMap(([name, workload]) =>
  name === 'plain'
    ? [{ name, workload, engine: drawing, runs: [] as Run[], turnMs: 0 }]
    : [
        { name: `${name}, drawn`, workload, engine: drawing, runs: [] as Run[], turnMs: 0 },
        { name: `${name}, jumping`, workload, engine: jumping, runs: [] as Run[], turnMs: 0 },
      ],
)
for (const { name, engine, workload } of cases) {
  const first = performance.now()
  await decode(engine, workload, 0)
  console.log(`first run, ${name}: ${Math.round(performance.now() - first)} ms`)
}
/** Longest turn of the event loop since last looked at. */
let turnMs = 0
let last = performance.now()
const watch = setInterval(() => {
  turnMs = Math.max(turnMs, performance.now() - last - 1)
  last = performance.now()
}, 1)
for (let round = 1; round <= numRounds; round++) {
  for (const measured of cases) {
    turnMs = 0
    measured.runs.push(await decode(measured.engine, measured.workload, round))
    measured.turnMs = Math.max(measured.turnMs, turnMs)
  }
}
clearInterval(watch)
const { isa, threads } = drawing.report.native
console.log(`${cpus()[0]?.model}, ${isa}, ${threads} threads, Node ${process.version}`)
console.log(`${path}: ${numTokens} tokens at most, ${numRounds} rounds in turns, medians`)
const plain = cases[0]?.runs ?? []
for (const { name, runs, turnMs: longest } of cases) {
  const rates = runs.map(run => run.tokensPerSecond)
  // Neighbours in time are compared: other load on the machine comes and goes.
  const ratios = rates.map((rate, round) => rate / (plain[round]?.tokensPerSecond ?? Number.NaN))
  const slowdown = (1 - median(ratios)) * 100
  console.log(
    `${name}: ${median(rates).toFixed(1)} tokens/s (${spread(rates)}), slowdown ${slowdown.toFixed(1)} %, ` +
      `${median(runs.map(run => run.stepsPerToken)).toFixed(2)} steps a token, ` +
      `${median(runs.map(run => run.ms)).toFixed(0)} ms a run, longest turn ${longest.toFixed(1)} ms`,
  )
}
await Promise.all([drawing.dispose(), jumping.dispose()])
