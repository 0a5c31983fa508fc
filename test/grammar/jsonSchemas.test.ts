import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { fullFormats } from 'ajv-formats/dist/formats.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { GenerateEvent, GenerateJob, JsonObject } from '../../edge/engine.ts'
import { loadLocalEngine } from '../../runtime/engine/createLocalEngine.ts'
import type { LocalEngine } from '../../runtime/engine/localEngine.ts'
import { compileAutomaton } from '../../runtime/grammar/automaton.ts'
import { lowerJsonSchema } from '../../runtime/grammar/json/jsonSchema.ts'
import { MatchGraph, type MatchState } from '../../runtime/grammar/matchState.ts'
import { loadNative } from '../../runtime/loadNative.ts'
import { randomSchema } from './randomSchema.ts'

const isFull = process.env.MISTRALRS_TEST_FULL === '1'
/** All 500 take some minutes. */
const numSchemas = isFull ? 500 : 40
/** The bar is 2048; the few that are run every time may take less. */
const maxTokens = isFull ? 2048 : 300
/** More than the engine runs at once, so that sequences wait and mix. */
const concurrency = 24

let isNativeThere = true
try {
  loadNative()
} catch (error) {
  isNativeThere = false
  console.log(`skipped without the native addon: ${error instanceof Error ? error.message : error}`)
}

function isPrefix(schema: JsonObject, text: string): boolean {
  const graph = new MatchGraph(
    compileAutomaton(lowerJsonSchema(schema), {
      byteTokens: new Uint8Array(256),
      maxTokenBytes: 8,
    }),
  )
  let state: MatchState | null = graph.start
  for (const byte of new TextEncoder().encode(text)) {
    if (state === null) return false
    state = graph.step(state, byte)
  }
  return state !== null
}

async function generate(engine: LocalEngine, schema: JsonObject, seed: number) {
  const job: GenerateJob = {
    model: 'default',
    prompt: { kind: 'text', prompts: [`Schema ${seed}: `] },
    n: 1,
    maxTokens,
    sampling: { temperature: 1.5, topP: 1, topK: 0, minP: 0, seed },
    stop: [],
    grammar: { type: 'json_schema', schema },
  }
  const { events } = await engine.submit(job, new AbortController().signal)
  const all: GenerateEvent[] = []
  for await (const item of events) all.push(...item)
  const text = all.map(event => (event.kind === 'text' ? event.text : '')).join('')
  const error = all.find(event => event.kind === 'error')
  const finish = all.find(event => event.kind === 'finish')
  return {
    seed,
    schema,
    text,
    error,
    reason: finish?.kind === 'finish' ? finish.reason : undefined,
  }
}

describe.skipIf(!isNativeThere)('random JSON schemas on a model of random weights', () => {
  let engine: LocalEngine

  beforeAll(async () => {
    engine = await loadLocalEngine({
      path: fileURLToPath(new URL('../goldens/llama', import.meta.url)),
      id: 'tiny',
      threads: 2,
      maxSeqs: 16,
      maxBatchedTokens: 256,
      kvTokens: 16 * 2200,
      prefixCache: true,
    })
  })

  afterAll(() => engine.dispose())

  it('gives valid JSON, finished in time', { timeout: 900_000 }, async () => {
    const seeds = Array.from({ length: numSchemas }, (_, i) => i)
    const results: Awaited<ReturnType<typeof generate>>[] = []
    const work = async () => {
      for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
        results.push(await generate(engine, randomSchema(seed), seed))
      }
    }
    await Promise.all(Array.from({ length: concurrency }, work))

    const finished = results.filter(result => result.reason === 'stop')
    for (const { seed, schema, text, error, reason } of results) {
      expect(error, `schema ${seed}`).toBeUndefined()
      if (reason !== 'stop') expect(isPrefix(schema, text), `schema ${seed}: ${text}`).toBe(true)
    }
    for (const { seed, schema, text } of finished) {
      const ajv = new Ajv2020({ strict: false, formats: fullFormats })
      const validate = ajv.compile(schema)
      const isValid = validate(JSON.parse(text))
      expect(isValid, `schema ${seed}: ${text} ${ajv.errorsText(validate.errors)}`).toBe(true)
    }
    console.log(`${finished.length} of ${numSchemas} outputs finished, all of them valid`)
    expect(finished.length).toBeGreaterThanOrEqual(0.95 * numSchemas)
    engine.checkInvariants()
  })
})
