import type { GenerateEvent } from '../engine.ts'

/** A block of an answer as it begins. */
export type ContentBlock =
  | { type: 'thinking'; thinking: string; signature: string }
  | { type: 'text'; text: string; citations: null }
  | { type: 'tool_use'; id: string; name: string; input: object; caller: { type: 'direct' } }

export type BlockDelta =
  | { type: 'thinking_delta'; thinking: string }
  | { type: 'signature_delta'; signature: string }
  | { type: 'text_delta'; text: string }
  | { type: 'input_json_delta'; partial_json: string }

/** What happens to the blocks of an answer, in order; at most one is open. */
export type BlockStep =
  | { kind: 'start'; index: number; block: ContentBlock }
  | { kind: 'delta'; index: number; delta: BlockDelta }
  | { kind: 'stop'; index: number }

/**
 * Clients must be given a signature and send it back; nobody checks it here, since a model of one's own may be shown any
 * thought.
 */
const SIGNATURE = 'local'

/** Splits the events of the one choice of a run into Anthropic's content blocks. */
export class ContentBlocks {
  readonly #showThinking: boolean
  #index = -1
  /** What the open block is, and for a tool which call. */
  #open: 'thinking' | 'text' | number | undefined

  /** @param showThinking false: thinking blocks come empty */
  constructor(showThinking: boolean) {
    this.#showThinking = showThinking
  }

  take(event: GenerateEvent): BlockStep[] {
    switch (event.kind) {
      case 'reasoning':
        return [
          ...this.#enter('thinking', { type: 'thinking', thinking: '', signature: '' }),
          ...this.#delta(this.#showThinking && event.text !== '', {
            type: 'thinking_delta',
            thinking: event.text,
          }),
        ]
      case 'text':
        if (event.text === '') return []
        return [
          ...this.#enter('text', { type: 'text', text: '', citations: null }),
          ...this.#delta(true, { type: 'text_delta', text: event.text }),
        ]
      case 'tool_call_delta':
        return [
          ...this.#enter(event.call, {
            type: 'tool_use',
            id: `toolu_${event.id ?? event.call}`,
            name: event.name ?? '',
            input: {},
            caller: { type: 'direct' },
          }),
          ...this.#delta(event.arguments !== '', {
            type: 'input_json_delta',
            partial_json: event.arguments,
          }),
        ]
      case 'finish':
        return this.#close()
      default:
        return []
    }
  }

  #enter(what: 'thinking' | 'text' | number, block: ContentBlock): BlockStep[] {
    if (this.#open === what) return []
    const closed = this.#close()
    this.#open = what
    this.#index++
    return [...closed, { kind: 'start', index: this.#index, block }]
  }

  #delta(wanted: boolean, delta: BlockDelta): BlockStep[] {
    return wanted ? [{ kind: 'delta', index: this.#index, delta }] : []
  }

  #close(): BlockStep[] {
    if (this.#open === undefined) return []
    const signed = this.#delta(this.#open === 'thinking', {
      type: 'signature_delta',
      signature: SIGNATURE,
    })
    this.#open = undefined
    return [...signed, { kind: 'stop', index: this.#index }]
  }
}
