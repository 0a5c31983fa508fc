import type { ChatMessage, Engine, GenerateJob, SamplingOptions } from '../../edge/engine.ts'
import type { GenerationDefaults } from '../config/generationDefaults.ts'
import { runTurn, type TurnListener, type TurnResult } from './chatTurn.ts'

export interface ChatOptions {
  sampling: SamplingOptions
  /** `enable_thinking` of the template. */
  thinking?: boolean
}

/** What `run` samples with where the model's own files are silent; the HTTP API has neutral values instead. */
const FALLBACKS = { temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05 } as const

/** Settings a chat begins with: of a model that asks for greedy decoding, its own. */
export function chatSampling(model: GenerationDefaults, seed: number | undefined): SamplingOptions {
  const sampling: SamplingOptions = seed === undefined ? {} : { seed }
  if (model.doSample === false) return sampling
  for (const [field, value] of Object.entries(FALLBACKS)) {
    if (model[field as keyof typeof FALLBACKS] === undefined) {
      sampling[field as keyof typeof FALLBACKS] = value
    }
  }
  return sampling
}

export const CHAT_HELP = `Type a message, or:
  /system <text>        set the system message (empty: none)
  /clear                forget the conversation
  /temperature <0..2>   /topk <n>   /topp <0..1]
  /help                 /exit       Ctrl-C stops an answer, at an empty prompt it leaves`

const SETTINGS: Record<
  string,
  { field: 'temperature' | 'topK' | 'topP'; range: string; isValid: (value: number) => boolean }
> = {
  '/temperature': { field: 'temperature', range: '0 to 2', isValid: t => t >= 0 && t <= 2 },
  '/topk': {
    field: 'topK',
    range: 'an integer, at least 1',
    isValid: k => Number.isInteger(k) && k >= 1,
  },
  '/topp': { field: 'topP', range: 'above 0, up to 1', isValid: p => p > 0 && p <= 1 },
}

/** One conversation and its settings. */
export class Chat {
  readonly #engine: Pick<Engine, 'submit'>
  readonly #thinking: boolean | undefined
  #sampling: SamplingOptions
  #system = ''
  #turns: ChatMessage[] = []

  constructor(engine: Pick<Engine, 'submit'>, options: ChatOptions) {
    this.#engine = engine
    this.#thinking = options.thinking
    this.#sampling = options.sampling
  }

  /**
   * Adds a user turn and keeps it with its answer, also one that was stopped midway.
   * @throws EngineError, and then the conversation is as it was
   */
  async say(text: string, signal: AbortSignal, listener: TurnListener = {}): Promise<TurnResult> {
    const user: ChatMessage = { role: 'user', content: text }
    const system: ChatMessage[] = this.#system ? [{ role: 'system', content: this.#system }] : []
    const job: GenerateJob = {
      model: 'default',
      prompt: {
        kind: 'chat',
        messages: [...system, ...this.#turns, user],
        ...(this.#thinking !== undefined && {
          templateOptions: { enable_thinking: this.#thinking },
        }),
      },
      n: 1,
      sampling: this.#sampling,
      stop: [],
    }
    const result = await runTurn(this.#engine, job, signal, listener)
    if (result.usage !== undefined || result.text !== '') {
      const { text: content, reasoning } = result
      this.#turns.push(user, { role: 'assistant', content, ...(reasoning !== '' && { reasoning }) })
    }
    return result
  }

  /** Applies a `/command` and returns what to print; `/exit` is the caller's. */
  command(line: string): string {
    const [, name = '', argument = ''] = /^(\S+)\s*(.*)$/s.exec(line) ?? []
    const setting = SETTINGS[name]
    if (setting !== undefined) {
      const { field, range, isValid } = setting
      const value = Number(argument)
      if (argument === '' || !isValid(value)) return `${name} takes a number: ${range}.`
      this.#sampling = { ...this.#sampling, [field]: value }
      return `${name.slice(1)} is ${value}.`
    }
    switch (name) {
      case '/help':
        return CHAT_HELP
      case '/system':
        this.#system = argument
        return argument ? 'System message set.' : 'System message removed.'
      case '/clear':
        this.#turns = []
        return 'Conversation cleared.'
      default:
        return `Unknown command ${name}.\n${CHAT_HELP}`
    }
  }
}
