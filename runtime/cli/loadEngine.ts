import {
  type LocalEngineLoadOptions,
  loadLocalEngine,
  loadModelEngine,
} from '../engine/createLocalEngine.ts'
import type { EmbeddingEngine } from '../engine/embeddingEngine.ts'
import type { LoadReport, LocalEngine } from '../engine/localEngine.ts'
import { defaultThreads } from '../host/machine.ts'
import { DEFAULT_MODEL } from '../hub/defaultModel.ts'
import { type ModelRequest, type ResolvedModel, resolveModel } from '../hub/resolveModel.ts'
import { loadNative } from '../loadNative.ts'
import type { Backend, NativeBinding } from '../native.ts'
import { maxConfigBytes, readModelFile } from '../weights/modelFile.ts'
import type { Log } from './log.ts'
import type { ModelOptions } from './options.ts'
import type { Progress } from './progress.ts'

/** Said whenever the demo model runs, so that nobody takes its answers for the server's best. */
export const DEMO_NOTICE =
  `${DEFAULT_MODEL.id} is a small demo model to try things with: do not expect good answers. ` +
  'Use a real one with -m FOLDER, -m FILE.gguf or -m organisation/name.'

/** The model options in terms of the hub. */
export function modelRequest(options: ModelOptions): ModelRequest {
  return {
    ...(options.modelId !== undefined && { model: options.modelId }),
    ...(options.quantizedFile !== undefined && { file: options.quantizedFile }),
    ...(options.revision !== undefined && { revision: options.revision }),
  }
}

/** Finds the model the options name, downloading what is missing. */
export async function findModel(
  options: ModelOptions,
  log: Log,
  progress: Progress,
): Promise<ResolvedModel> {
  try {
    return await resolveModel(modelRequest(options), {
      log: message => {
        progress.stop()
        log.notice(message)
      },
      bytes: (source, done, total) =>
        progress.update(`Downloading from ${source}`, done, total, 'bytes'),
    })
  } finally {
    progress.stop()
  }
}

/** How much of the weights is loaded, in bytes. */
type OnLoaded = (done: number, total: number) => void

/**
 * Loads a model that generates text into an engine in this process, as the options say.
 * @throws Error when the model or the template cannot be read, or does not fit, or the model makes embeddings
 */
export function loadEngine(
  model: ResolvedModel,
  options: ModelOptions,
  log: Log,
  progress: Progress,
): Promise<LocalEngine> {
  return loadWith(loadLocalEngine, model, options, log, progress)
}

/** As `loadEngine`, for a model of either kind. */
export function loadServedEngine(
  model: ResolvedModel,
  options: ModelOptions,
  log: Log,
  progress: Progress,
  onLoaded: OnLoaded,
): Promise<LocalEngine | EmbeddingEngine> {
  return loadWith(loadModelEngine, model, options, log, progress, onLoaded)
}

async function loadWith<E extends { report: LoadReport }>(
  load: (options: LocalEngineLoadOptions) => Promise<E>,
  model: ResolvedModel,
  options: ModelOptions,
  log: Log,
  progress: Progress,
  onLoaded: OnLoaded = () => {},
): Promise<E> {
  const chatTemplate = await templateOf(model, options)
  let engine: E
  try {
    engine = await load({
      path: model.path,
      id: model.id,
      threads: options.threads ?? defaultThreads(),
      maxSeqs: options.maxSeqs,
      maxBatchedTokens: options.maxNumBatchedTokens,
      prefixCache: options.prefixCacheN > 0,
      onProgress: (_phase, done, total) => {
        progress.update('Loading weights', done, total, 'bytes')
        onLoaded(done, total)
      },
      backend: chooseBackend(options, loadNative()),
      ...(options.isa && { isa: options.isa }),
      ...(options.isq && { isq: options.isq }),
      ...(options.seed !== undefined && { seed: options.seed }),
      ...(options.paMemoryMb !== undefined && { kvBytes: options.paMemoryMb * 2 ** 20 }),
      ...(options.paContextLen !== undefined && { kvTokens: options.paContextLen }),
      ...(options.paCacheType !== 'auto' && { kvType: options.paCacheType }),
      ...(chatTemplate !== undefined && { chatTemplate }),
      parsers: {
        ...(options.toolCallParser !== undefined && { toolCalls: options.toolCallParser }),
        ...(options.reasoningParser !== undefined && { reasoning: options.reasoningParser }),
      },
      ...(model.isDefault && { generationOverrides: DEFAULT_MODEL.sampling }),
    })
  } finally {
    progress.stop()
  }
  report(model, engine, log)
  return engine
}

/** The GPU where there is one, unless the user asks for the CPU or for kernels of it. */
export function chooseBackend(
  options: Pick<ModelOptions, 'cpu' | 'isa'>,
  binding: Pick<NativeBinding, 'gpuInfo'>,
): Backend {
  return options.cpu || options.isa || !binding.gpuInfo() ? 'cpu' : 'cuda'
}

function report(model: ResolvedModel, { report }: { report: LoadReport }, log: Log): void {
  for (const message of report.messages) log.info(message)
  log.info(
    `Model ${model.id} loaded in ${(report.loadMs / 1000).toFixed(2)} s: ` +
      `${mebibytes(report.native.weightBytes)} of weights, ` +
      `${report.native.isa} kernels on ${report.native.threads} threads`,
  )
  const { bytes, type, fullLengthSequences, maxModelLen, limitedBy } = report.kv
  log.info(
    `KV cache: ${mebibytes(bytes)} (${type}), room for ${fullLengthSequences} sequences of ${maxModelLen} tokens` +
      `${limitedBy === 'memory' ? ' (of the free memory; see --pa-memory-mb)' : ''}`,
  )
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`
}

async function templateOf(
  model: ResolvedModel,
  options: ModelOptions,
): Promise<string | undefined> {
  if (options.chatTemplate !== undefined) return readTemplate(options.chatTemplate)
  return model.isDefault ? DEFAULT_MODEL.chatTemplate : undefined
}

/** A Jinja file as it is, or the `chat_template` of a JSON file. */
async function readTemplate(path: string): Promise<string> {
  let text: string
  try {
    text = (await readModelFile(path, maxConfigBytes)).toString('utf8')
  } catch (cause) {
    throw new Error(`the chat template ${path} cannot be read`, { cause })
  }
  if (!path.endsWith('.json')) return text
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new Error(`${path} is not JSON`, { cause })
  }
  const template = (json as { chat_template?: unknown } | null)?.chat_template
  if (typeof template !== 'string') throw new Error(`${path} has no string "chat_template"`)
  return template
}
