import { expect } from 'vitest'
import type { GenerateEvent, GenerateJob } from '../../edge/engine.ts'
import type { EngineText } from '../../runtime/engine/engineText.ts'
import { LocalEngine, type LocalEngineOptions } from '../../runtime/engine/localEngine.ts'
import type { NativeModel } from '../../runtime/native.ts'
import { detectFormat } from '../../runtime/parse/detectFormat.ts'
import type { SchedulerOptions } from '../../runtime/scheduler/scheduler.ts'
import type { PromptText } from '../../runtime/text/textService.ts'
import { Detokenizer, detokenize } from '../../runtime/text/tokenizer/detokenizer.ts'
import {
  pieceBytes,
  type TokenPieces,
  tokenFlag,
} from '../../runtime/text/tokenizer/tokenPieces.ts'
import { fakeVocabSize } from './fakeModel.ts'
import { FakeNative } from './fakeNative.ts'

export const fakeGroups = [
  { pageTokens: 4, window: null },
  { pageTokens: 8, window: 10 },
]
export const fakeMaxModelLen = 120

/** Text of an engine without a text worker. */
export function fakeText(
  pieces: TokenPieces,
  encode: (prompt: PromptText) => Int32Array,
): EngineText {
  return {
    promptTokens: async prompt => encode(prompt),
    encodeNext: async text => encode({ kind: 'text', text, addSpecialTokens: false }),
    render: async prompt => JSON.stringify(prompt.messages),
    decode: async (ids, options) => detokenize(pieces, Array.from(ids), options),
    pieces,
    breakerTokens: async () => new Int32Array(0),
    createDetokenizer: options => new Detokenizer(pieces, options),
    tokenBytes: id => pieceBytes(pieces, id),
    isSpecial: id => ((pieces.flags[id] ?? 0) & tokenFlag.special) !== 0,
    lost: new Promise(() => {}),
    close: async () => {},
  }
}

type FakeEngineOptions = Partial<Omit<LocalEngineOptions, 'scheduler'>> & {
  scheduler?: Partial<SchedulerOptions>
  maxModelLen?: number
  vocabSize?: number
}

/** Limits of an engine for tests. */
export const fakeLimits: SchedulerOptions = {
  groups: fakeGroups,
  numPages: 400,
  maxSequences: 8,
  maxBatchedTokens: 64,
  maxLogitRows: 16,
  maxSlots: 32,
  maxWaiting: 50,
  prefixCache: true,
}

/** An engine over the fake model; token 0 ends a text. */
export function fakeEngine(text: EngineText, options: FakeEngineOptions = {}) {
  const numPages = options.scheduler?.numPages ?? fakeLimits.numPages
  const native = new FakeNative(fakeGroups, numPages)
  return { engine: engineOver(native, text, options), native }
}

/** An engine over any model, with no text worker. */
export function engineOver(
  native: NativeModel,
  text: EngineText,
  { maxModelLen = fakeMaxModelLen, vocabSize = fakeVocabSize, ...change }: FakeEngineOptions = {},
): LocalEngine {
  const scheduler = { ...fakeLimits, ...change.scheduler }
  return new LocalEngine(
    {
      info: {
        id: 'fake',
        aliases: [],
        status: 'loaded',
        created: 1,
        maxModelLen,
        quantization: null,
        vocabSize,
        fingerprint: null,
        inputModalities: [],
        embeddingSize: null,
      },
      report: {
        kv: {
          numPages: scheduler.numPages,
          bytes: 0,
          maxModelLen,
          fullLengthSequences: 1,
          limitedBy: 'option',
          type: 'f16',
        },
        native: native.info,
        messages: [],
        loadMs: 0,
      },
      generation: { eosTokenIds: [0] },
      reading: {
        format: detectFormat([]),
        takesTools: true,
        reasoningMarkers: new Set(),
        callMarkers: new Set(),
        endIds: new Set(),
      },
      ...change,
      scheduler,
    },
    text,
    native,
  )
}

/** All events of a job, numbered without holes. */
export async function collectEvents(
  engine: LocalEngine,
  job: GenerateJob,
  signal = new AbortController().signal,
): Promise<GenerateEvent[]> {
  const { events } = await engine.submit(job, signal)
  const all: GenerateEvent[] = []
  for await (const item of events) {
    expect(item.length).toBeGreaterThan(0)
    all.push(...item)
  }
  expect(all.map(e => e.seq)).toEqual(all.map((_, i) => i))
  return all
}
