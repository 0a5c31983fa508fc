import { hash } from 'node:crypto'
import type { ModelInfo } from '../../edge/engine.ts'
import type { GenerationDefaults } from '../config/generationDefaults.ts'
import type { TokenizerSource } from '../config/openModel.ts'
import { loadNative } from '../loadNative.ts'
import { type PreparedModel, prepareModel } from '../models/loadModel.ts'
import type { Backend, Isa, LoadSpec, NativeBinding, NativeModel } from '../native.ts'
import type { ParserOverrides } from '../parse/detectFormat.ts'
import { type KvBudget, planKvBudget } from '../scheduler/kvBudget.ts'
import type { KvGroup } from '../scheduler/pages.ts'
import type { SchedulerOptions } from '../scheduler/scheduler.ts'
import { TextService } from '../text/textService.ts'
import type { TextSource } from '../text/textSource.ts'
import type { Isq } from '../weights/bindWeights.ts'
import { FileFormatError } from '../weights/fileFormatError.ts'
import { EmbeddingEngine } from './embeddingEngine.ts'
import { type LoadReport, LocalEngine } from './localEngine.ts'
import { type OutputReading, outputReading } from './output/outputReading.ts'

export interface LocalEngineLoadOptions {
  /** Folder in Hugging Face layout, or GGUF file. */
  path: string
  id: string
  aliases?: string[]
  /** Compute threads. */
  threads: number
  /** Default `cpu`. */
  backend?: Backend
  /** Kernel variant; default the best this machine runs. */
  isa?: Isa
  /** Quantize float weights while loading. */
  isq?: Isq
  /** Sequences that run at once. */
  maxSeqs: number
  /** Tokens of one step at most; each costs memory for its activations. */
  maxBatchedTokens: number
  /** Sequences that may wait; default 256. */
  maxWaiting?: number
  /** Size of the KV cache; default what `maxSeqs` could need, at most half of the memory left (90 % of a device's). */
  kvBytes?: number
  /** Size of the KV cache in tokens, instead of `kvBytes`. */
  kvTokens?: number
  /** Default `f16`. */
  kvType?: 'f16' | 'f32'
  prefixCache: boolean
  /** Seed of requests that bring none; absent draws one each. */
  seed?: number
  /** Text of a Jinja template to use instead of the model's. */
  chatTemplate?: string
  /** Parsers to use instead of those that the chat template tells. */
  parsers?: ParserOverrides
  /** Instead of what the model's files say. */
  generationOverrides?: Partial<GenerationDefaults>
  /** Shorter context than the model allows. */
  maxModelLen?: number
  /** Bytes of weights prepared. */
  onProgress?: (phase: 'weights', done: number, total: number) => void
  /** For tests: fill the KV pool with NaN first. */
  poisonKv?: boolean
  /** For tests: 1 waits for each step. */
  depth?: 1 | 2
  /** For benchmarks: off draws text that a grammar leaves no choice about. */
  jumpAhead?: boolean
}

const defaultMaxWaiting = 256
/** Inputs of embedding requests, which come by the thousand. */
const defaultMaxInputs = 8192
/** Preempted sequences keep their slots, which are small beside their pages. */
const slotsPerSequence = 4

/**
 * Loads a model with its tokenizer and makes it an engine.
 * @throws FileFormatError, UnsupportedModelError, NativeError, RangeError when the KV cache does not fit
 */
export async function loadLocalEngine(options: LocalEngineLoadOptions): Promise<LocalEngine> {
  const engine = await loadModelEngine(options)
  if (engine instanceof LocalEngine) return engine
  await engine.dispose()
  throw new Error(`${options.path} is an embedding model, which does not generate text`)
}

/** As `loadLocalEngine`, for a model of either kind. */
export async function loadModelEngine(
  options: LocalEngineLoadOptions,
): Promise<LocalEngine | EmbeddingEngine> {
  const started = performance.now()
  const binding = loadNative()
  const model = await prepareModel(options.path, { ...(options.isq && { isq: options.isq }) })
  const kvType = options.kvType ?? 'f16'
  const groups = model.kvGroups.map(({ pageTokens, window }) => ({
    pageTokens,
    // A prompt that is computed in one step needs all its pages at once.
    window: model.wholePrompts ? null : (window ?? null),
  }))
  const kv = kvBudget(model, groups, options, kvType, binding)
  const scheduler = schedulerOptions(options, model, groups, kv)
  // Tokenizer and weights load side by side, on threads of their own.
  const [{ text, reading }, native] = await bothOrNeither(
    loadText(model, options),
    binding
      .load(loadSpec(model, options, scheduler, kvType), (done, total) =>
        options.onProgress?.('weights', done, total),
      )
      .catch(error => {
        throw withFile(error, model)
      }),
  )
  const info = modelInfo(options, model, native, kv.maxModelLen)
  const report: LoadReport = {
    kv: { ...kv, type: kvType },
    native: native.info,
    messages: model.messages,
    loadMs: performance.now() - started,
  }
  const { embeddingSize } = model.config
  if (embeddingSize !== null) {
    return new EmbeddingEngine(
      { info: { ...info, embeddingSize }, report, scheduler },
      text,
      native,
    )
  }
  return new LocalEngine(
    {
      info,
      report,
      generation: generationDefaults(model, text, options.generationOverrides),
      reading,
      scheduler,
      ...(options.seed !== undefined && { seed: options.seed }),
      ...(options.depth && { depth: options.depth }),
      ...(options.jumpAhead !== undefined && { jumpAhead: options.jumpAhead }),
    },
    text,
    native,
  )
}

/** Native code tells which weight it cannot use; users know files. */
function withFile(error: unknown, { weights }: PreparedModel): unknown {
  if (!(error instanceof Error && 'code' in error && error.code === 'invalid_weights')) return error
  const weight = weights.find(({ name }) => error.message.startsWith(`${name}: `))
  const path = weight?.parts[0]?.path
  return path === undefined ? error : new FileFormatError(path, error.message, { cause: error })
}

interface LoadedText {
  text: TextService
  reading: OutputReading
}

async function loadText(
  { tokenizerSource }: PreparedModel,
  { chatTemplate, parsers = {} }: LocalEngineLoadOptions,
): Promise<LoadedText> {
  const text = await TextService.load({
    source: textSource(tokenizerSource),
    ...(chatTemplate !== undefined && { chatTemplateOverride: chatTemplate }),
  })
  try {
    return { text, reading: await outputReading(text, parsers) }
  } catch (error) {
    await text.close()
    throw error
  }
}

/** When one fails, what the other made is freed. */
async function bothOrNeither(
  loadingText: Promise<LoadedText>,
  loadingNative: Promise<NativeModel>,
): Promise<[LoadedText, NativeModel]> {
  const [text, native] = await Promise.allSettled([loadingText, loadingNative])
  if (text.status === 'rejected') {
    if (native.status === 'fulfilled') await native.value.dispose()
    throw text.reason
  }
  if (native.status === 'rejected') {
    await text.value.text.close()
    throw native.reason
  }
  return [text.value, native.value]
}

function schedulerOptions(
  options: LocalEngineLoadOptions,
  { config, wholePrompts }: PreparedModel,
  groups: readonly KvGroup[],
  kv: KvBudget,
): SchedulerOptions {
  const { maxSeqs, prefixCache } = options
  const batched = Math.min(options.maxBatchedTokens, kv.maxModelLen)
  return {
    groups,
    numPages: kv.numPages,
    maxSequences: maxSeqs,
    maxBatchedTokens: Math.max(maxSeqs + minPrefillTokens, wholePrompts ? kv.maxModelLen : batched),
    maxLogitRows: maxSeqs + scoredRows(config.vocabSize),
    maxSlots: slotsPerSequence * maxSeqs,
    maxWaiting:
      options.maxWaiting ?? (config.embeddingSize === null ? defaultMaxWaiting : defaultMaxInputs),
    prefixCache: prefixCache && !wholePrompts,
    wholePrompts,
  }
}

function loadSpec(
  model: PreparedModel,
  options: LocalEngineLoadOptions,
  scheduler: SchedulerOptions,
  kvType: 'f16' | 'f32',
): LoadSpec {
  return {
    plan: model.plan,
    weights: model.weights,
    backend: options.backend ?? 'cpu',
    ...(options.isa && { isa: options.isa }),
    threads: options.threads,
    maxTokens: scheduler.maxBatchedTokens,
    maxSequences: scheduler.maxSequences,
    maxLogitRows: scheduler.maxLogitRows,
    maxSlots: scheduler.maxSlots,
    kv: {
      numPages: scheduler.numPages,
      pageBytes: model.pageBytes(kvType),
      type: kvType,
      ...(options.poisonKv && { poison: true }),
    },
  }
}

/** What prefill gets in a step at least, beside a full batch of decode rows. */
const minPrefillTokens = 16

/** Logit rows for prompt log-probabilities: few where a row is long (262k tokens: 1 MB). */
function scoredRows(vocabSize: number): number {
  return Math.max(8, Math.min(64, Math.floor(2 ** 24 / (4 * vocabSize))))
}

function kvBudget(
  model: PreparedModel,
  groups: readonly KvGroup[],
  options: LocalEngineLoadOptions,
  type: 'f16' | 'f32',
  binding: NativeBinding,
) {
  const device = options.backend === 'cuda' ? binding.gpuInfo() : null
  const pageBytes = model.pageBytes(type)
  const kvBytes =
    options.kvTokens === undefined
      ? options.kvBytes
      : groups.reduce((n, g) => n + Math.ceil((options.kvTokens ?? 0) / g.pageTokens), 0) *
        pageBytes
  return planKvBudget({
    groups,
    pageBytes,
    maxSequences: options.maxSeqs,
    maxModelLen: Math.min(model.config.maxModelLen, options.maxModelLen ?? Infinity),
    weightBytes: model.weights
      .flatMap(weight => weight.parts)
      .reduce((bytes, part) => bytes + part.bytes, 0),
    ...(kvBytes !== undefined && { kvBytes }),
    ...(device && { availableBytes: device.freeBytes, memoryShare: deviceMemoryShare }),
  })
}

/** Activations take from the rest. */
const deviceMemoryShare = 0.9

function generationDefaults(
  model: PreparedModel,
  text: TextService,
  overrides: Partial<GenerationDefaults> | undefined,
): GenerationDefaults {
  const { eosTokenIds, suppressTokens } = model.generation
  // Ids beyond the vocabulary mean nothing, as in transformers.
  const suppressed = suppressTokens?.filter(id => id < model.config.vocabSize)
  return {
    ...model.generation,
    eosTokenIds: eosTokenIds.length > 0 ? eosTokenIds : [...text.endIds],
    ...(suppressed && { suppressTokens: suppressed }),
    ...overrides,
  }
}

function modelInfo(
  { id, aliases }: LocalEngineLoadOptions,
  { config, plan }: PreparedModel,
  { info }: NativeModel,
  maxModelLen: number,
): ModelInfo & { vocabSize: number; maxModelLen: number } {
  const { quantization, vocabSize } = config
  const identity = [id, quantization, plan, info.backend, info.isa].join('\n')
  return {
    id,
    aliases: aliases ?? [],
    status: 'loaded',
    created: Math.floor(Date.now() / 1000),
    maxModelLen,
    quantization,
    vocabSize,
    fingerprint: `fp_${hash('sha256', identity, 'hex').slice(0, 12)}`,
    inputModalities: [],
    embeddingSize: config.embeddingSize,
  }
}

function textSource(source: TokenizerSource): TextSource {
  return source.kind === 'gguf'
    ? { kind: 'gguf', path: source.file.path }
    : { kind: 'folder', dir: source.folder }
}
