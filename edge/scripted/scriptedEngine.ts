import {
  type Accepted,
  type ChatPrompt,
  type Engine,
  EngineError,
  type EngineErrorData,
  type GenerateJob,
  type ModelInfo,
} from '../engine.ts'
import { toBase64 } from '../http/base64.ts'
import { resolveModel } from '../jobs/resolveModel.ts'
import { Turnstile } from './scriptedQueue.ts'
import { pause, runJob, type ScriptedRunOptions } from './scriptedRun.ts'
import {
  SCRIPTED_VOCAB_SIZE,
  scriptedHash,
  scriptedText,
  scriptedTokens,
} from './scriptedVocabulary.ts'

export interface ScriptedOptions extends ScriptedRunOptions {
  models?: ModelInfo[]
  /** Jobs that run at once, and jobs that may wait for them before a further one is refused. */
  maxRunning?: number
  maxWaiting?: number
  /** Before a job is accepted or refused. */
  admitDelayMs?: number
  failSubmit?: EngineErrorData
}

export const scriptedModel: ModelInfo = {
  id: 'scripted/words-1',
  aliases: ['words'],
  status: 'loaded',
  created: 1_700_000_000,
  maxModelLen: 4096,
  quantization: 'none',
  vocabSize: SCRIPTED_VOCAB_SIZE,
  fingerprint: 'fp_scripted',
  inputModalities: [],
  embeddingSize: null,
}

/** An engine without a model: deterministic text behind the same contract, for tests of everything in front of it. */
export interface ScriptedEngine extends Engine {
  /** Jobs accepted so far, in order. */
  readonly jobs: GenerateJob[]
  /** Jobs that have been accepted and have not ended. */
  readonly numActive: number
  readonly numAborted: number
}

export function createScriptedEngine(options: ScriptedOptions = {}): ScriptedEngine {
  const models = options.models ?? [scriptedModel]
  const turnstile = new Turnstile(options.maxRunning ?? Infinity, options.maxWaiting ?? Infinity)
  const jobs: GenerateJob[] = []
  const running = new Map<string, { job: GenerateJob; controller: AbortController }>()
  let numActive = 0
  let numAborted = 0

  return {
    jobs,
    get numActive() {
      return numActive
    },
    get numAborted() {
      return numAborted
    },
    async submit(job, signal): Promise<Accepted> {
      await pause(options.admitDelayMs ?? 0, signal)
      const model = resolveModel(models, job.model)
      const prompts = promptTokens(job)
      refuseIfNotReady(model, options)
      refuseMedia(model, job)
      refuseIfTooLong(model, job, prompts)
      const turn = turnstile.enter()
      jobs.push(job)
      numActive++
      const jobId = `scripted-${jobs.length}`
      const controller = new AbortController()
      controller.signal.addEventListener('abort', turn.leave)
      running.set(jobId, { job, controller })
      let active = true
      const end = (completed: boolean) => {
        if (!active) return
        active = false
        running.delete(jobId)
        signal.removeEventListener('abort', abort)
        turn.leave()
        numActive--
        if (!completed) numAborted++
      }
      // Not left to the events alone: nobody may ever ask for the first one.
      const abort = () => end(false)
      signal.addEventListener('abort', abort)
      return {
        jobId,
        model: model.id,
        fingerprint: model.fingerprint,
        promptTokens: prompts.flat().length,
        cachedTokens: 0,
        queuePosition: turn.position,
        events: runJob({
          job,
          prompts,
          model,
          options,
          signal,
          cancelled: controller.signal,
          ready: turn.ready,
          end,
        }),
      }
    },
    async attach() {
      throw new EngineError({ kind: 'job_not_found', message: 'The engine keeps no jobs.' })
    },
    async cancel(id, owner) {
      const named = [...running].filter(
        ([jobId, { job }]) => (jobId === id || job.requestId === id) && job.owner === owner,
      )
      for (const [, { controller }] of named) controller.abort()
      return named.length > 0
    },
    async embed({ model, inputs, dimensions }, signal) {
      await pause(options.admitDelayMs ?? 0, signal)
      const { id, embeddingSize } = resolveModel(models, model)
      if (embeddingSize === null) {
        const message = `The model '${id}' does not make embeddings.`
        throw new EngineError({ kind: 'invalid', message, param: 'model' })
      }
      const tokens = inputs.map(input =>
        typeof input === 'string' ? scriptedTokens(input) : input,
      )
      return {
        model: id,
        embeddings: tokens.map(ids => scriptedEmbedding(ids, dimensions ?? embeddingSize)),
        promptTokens: tokens.flat().length,
      }
    },
    system: async () => [{ engine: 'scripted' }],
    async tokenize({ prompt, pieces, rendered, countOnly }) {
      const text = prompt.kind === 'chat' ? renderChat(prompt) : prompt.text
      const tokens = scriptedTokens(text)
      return {
        model: scriptedModel.id,
        count: tokens.length,
        tokens: countOnly ? [] : tokens,
        ...(rendered && { rendered: text }),
        maxModelLen: scriptedModel.maxModelLen ?? 0,
        ...(pieces && { pieces: tokens.map(id => scriptedText([id])) }),
      }
    },
    detokenize: async ({ tokens }) => scriptedText(tokens),
    models: async () => models,
    load: async name => ({ ...resolveModel(models, name), status: 'loaded' }),
    unload: async name => ({ ...resolveModel(models, name), status: 'unloaded' }),
    metrics: async () =>
      models.map(({ id }) => ({
        model: id,
        ...turnstile.counts(),
        capacity: options.maxRunning ?? jobs.length,
        kvPagesUsed: 0,
        kvPagesTotal: 0,
        promptTokens: 0,
        cachedTokens: 0,
        generatedTokens: 0,
        prefixLookups: 0,
        prefixHits: 0,
        prefixEvictions: 0,
        preemptions: 0,
        completed: { aborted: numAborted },
        rejected: {},
      })),
    async health() {
      const ready = models.some(({ status }) => status === 'loaded')
      return {
        ready,
        ...(!ready && { reason: 'loading' as const }),
        ...turnstile.counts(),
        kvPagesUsed: 0,
        kvPagesTotal: 0,
      }
    },
  }
}

/** A vector of length 1 that depends on the tokens. */
function scriptedEmbedding(ids: number[], size: number): string {
  const raw = Float32Array.from({ length: size }, (_, i) => (scriptedHash(...ids, i) % 2001) - 1000)
  const norm = Math.hypot(...raw) || 1
  return toBase64(new Uint8Array(raw.map(value => value / norm).buffer))
}

function promptTokens({ prompt }: GenerateJob): number[][] {
  if (prompt.kind === 'chat') return [scriptedTokens(renderChat(prompt))]
  return prompt.prompts.map(p => (typeof p === 'string' ? scriptedTokens(p) : p))
}

function renderChat({ messages, tools, reasoning, templateOptions }: ChatPrompt): string {
  const head = [tools, reasoning, templateOptions].flatMap(part =>
    part ? [`${JSON.stringify(part)}\n`] : [],
  )
  const turns = messages.map(({ role, ...rest }) => `${role}: ${JSON.stringify(rest)}\n`)
  return [...head, ...turns, 'assistant:'].join('')
}

function refuseIfNotReady({ id, status }: ModelInfo, { failSubmit }: ScriptedOptions): void {
  if (failSubmit !== undefined) throw new EngineError(failSubmit)
  if (status === 'loading') {
    throw new EngineError({
      kind: 'loading',
      message: `The model '${id}' is still loading.`,
      retryAfterMs: 2000,
    })
  }
}

function refuseMedia({ inputModalities }: ModelInfo, { prompt }: GenerateJob): void {
  if (prompt.kind !== 'chat') return
  for (const [m, { content }] of prompt.messages.entries()) {
    if (!Array.isArray(content)) continue
    const at = content.findIndex(({ type }) => type !== 'text' && !inputModalities.includes(type))
    if (at < 0) continue
    throw new EngineError({
      kind: 'unsupported_media',
      message: `This model does not read content of type '${content[at]?.type}'.`,
      param: `prompt.messages.${m}.content.${at}`,
    })
  }
}

function refuseIfTooLong({ maxModelLen }: ModelInfo, job: GenerateJob, prompts: number[][]): void {
  const asked = Math.max(...prompts.map(ids => ids.length)) + (job.maxTokens ?? 1)
  if (maxModelLen === null || asked <= maxModelLen) return
  throw new EngineError({
    kind: 'context_length',
    message: `This model's context length is ${maxModelLen} tokens, but ${asked} were asked for (prompt and completion).`,
  })
}
