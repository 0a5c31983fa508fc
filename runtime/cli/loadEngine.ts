import { readFile } from 'node:fs/promises'
import type { GenerationDefaults } from '../config/generationDefaults.ts'
import { loadLocalEngine } from '../engine/createLocalEngine.ts'
import type { LocalEngine } from '../engine/localEngine.ts'
import { defaultThreads } from '../host/machine.ts'
import { DEFAULT_MODEL } from '../hub/defaultModel.ts'
import { type ModelRequest, type ResolvedModel, resolveModel } from '../hub/resolveModel.ts'
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
export function findModel(
  options: ModelOptions,
  log: Log,
  progress: Progress,
): Promise<ResolvedModel> {
  return resolveModel(modelRequest(options), {
    log: message => {
      progress.stop()
      log.info(message)
    },
    bytes: (source, done, total) =>
      progress.update(`Downloading from ${source}`, done, total, 'bytes'),
  })
}

/**
 * Loads a model into an engine in this process, as the options say.
 * @param onFraction how far the load is, 0 to 1
 */
export async function loadEngine(
  model: ResolvedModel,
  options: ModelOptions,
  log: Log,
  progress: Progress,
  onFraction: (done: number, total: number) => void = () => {},
): Promise<LocalEngine> {
  const engine = await loadLocalEngine({
    path: model.path,
    id: model.id,
    threads: options.threads ?? defaultThreads(),
    maxSeqs: options.maxSeqs,
    maxBatchedTokens: options.maxNumBatchedTokens,
    prefixCache: options.prefixCacheN > 0,
    onProgress: (phase, done, total) => {
      if (phase !== 'weights') return
      progress.update('Loading weights', done, total, 'bytes')
      onFraction(done, total)
    },
    ...(options.isa && { isa: options.isa }),
    ...(options.isq && { isq: options.isq }),
    ...(options.seed !== undefined && { seed: options.seed }),
    ...(options.paMemoryMb !== undefined && { kvBytes: options.paMemoryMb * 2 ** 20 }),
    ...(options.paContextLen !== undefined && { kvTokens: options.paContextLen }),
    ...(options.paCacheType !== 'auto' && { kvType: options.paCacheType }),
    ...(options.chatTemplate && { chatTemplate: await readTemplate(options.chatTemplate) }),
    ...(model.isDefault && { generationOverrides: demoSampling }),
  })
  progress.stop()
  const { report } = engine
  for (const message of report.messages) log.info(message)
  log.info(
    `Model ${model.id} loaded in ${(report.loadMs / 1000).toFixed(2)} s: ` +
      `${(report.native.weightBytes / 2 ** 20).toFixed(0)} MiB of weights, ` +
      `${report.native.isa} kernels on ${report.native.threads} threads`,
  )
  log.info(
    `KV cache: ${(report.kv.bytes / 2 ** 20).toFixed(0)} MiB (${report.kv.type}), room for ` +
      `${report.kv.fullLengthSequences} sequences of ${report.kv.maxModelLen} tokens` +
      `${report.kv.limitedBy === 'memory' ? ' (half of the free memory; see --pa-memory-mb)' : ''}`,
  )
  return engine
}

const demoSampling: Partial<GenerationDefaults> = DEFAULT_MODEL.sampling

/** A Jinja file as it is, or the `chat_template` of a JSON file. */
async function readTemplate(path: string): Promise<string> {
  const text = await readFile(path, 'utf8')
  if (!path.endsWith('.json')) return text
  const template: unknown = JSON.parse(text)?.chat_template
  if (typeof template !== 'string') throw new Error(`${path} has no string "chat_template"`)
  return template
}
