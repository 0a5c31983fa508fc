import type { EngineErrorData, FinishReason, GenerateEvent, Usage } from '../engine.ts'
import { createCallWriter } from './callWriters.ts'
import { createClientCallWriter } from './clientCallWriter.ts'
import { outputItemId } from './itemIds.ts'
import type { ContentEvent, ItemWriter, Place } from './itemWriter.ts'
import { createMessageWriter } from './messageWriter.ts'
import { createReasoningWriter, type ReasoningFormat } from './reasoningWriter.ts'
import { responseError } from './responseError.ts'
import type {
  OutputItem,
  ResponseEvent,
  ResponseObject,
  ResponseStatus,
  ResponseUsage,
} from './responseObject.ts'
import type { ToolIndex } from './toolIndex.ts'

export interface ResponseFormat {
  reasoning: ReasoningFormat
  tools: ToolIndex
}

/**
 * A run as the Responses API tells it: items one after the other, in the order in which they are generated. Depends on
 * the response it begins with and the events alone, so that every reading of a run gives the same.
 * Source: the `openai` package's types of stream events, and its accumulator.
 */
export class ResponseRun {
  readonly #head: ResponseObject
  readonly #format: ResponseFormat
  readonly #items: OutputItem[] = []
  #open: { writer: ItemWriter; call: number | undefined } | undefined
  #status: ResponseStatus
  #reason: FinishReason = 'stop'
  #error: EngineErrorData | undefined
  #usage: Usage | undefined

  /** @param head the response before anything has happened, `queued` or `in_progress` */
  constructor(head: ResponseObject, format: ResponseFormat) {
    this.#head = head
    this.#format = format
    this.#status = head.status
  }

  /** Undefined while the run goes on. */
  get end(): 'completed' | 'error' | undefined {
    if (this.#usage !== undefined) return 'completed'
    return this.#error === undefined ? undefined : 'error'
  }

  get error(): EngineErrorData | undefined {
    return this.#error
  }

  get usage(): Usage | undefined {
    return this.#usage
  }

  /** The response as it stands. */
  get response(): ResponseObject {
    const usage = this.#usage
    const open = this.#open?.writer.item
    return {
      ...this.#head,
      status: this.#status,
      output: open === undefined ? [...this.#items] : [...this.#items, open],
      completed_at:
        usage !== undefined && this.#status === 'completed'
          ? this.#head.created_at + Math.round((usage.promptMs + usage.completionMs) / 1000)
          : null,
      error:
        this.#error === undefined || this.#status === 'cancelled'
          ? null
          : responseError(this.#error),
      incomplete_details: this.#status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
      usage: usage === undefined ? null : usageBody(usage),
    }
  }

  /** What is told before the run has anything to say. */
  begin(): ResponseEvent[] {
    const created = this.#lifecycle('response.created')
    return this.#status === 'queued'
      ? [created, this.#lifecycle('response.queued')]
      : [created, this.#lifecycle('response.in_progress')]
  }

  take(event: GenerateEvent): ResponseEvent[] {
    if (this.end !== undefined) return []
    return [...this.#start(), ...this.#take(event)]
  }

  fail(error: EngineErrorData): ResponseEvent[] {
    if (this.end !== undefined) return []
    this.#error = error
    this.#status = error.kind === 'cancelled' ? 'cancelled' : 'failed'
    if (this.#open !== undefined) {
      // Whatever it lacks, it will not get.
      this.#open.writer.close('incomplete')
      this.#items.push(this.#open.writer.item)
      this.#open = undefined
    }
    return [this.#lifecycle('response.failed')]
  }

  #take(event: GenerateEvent): ResponseEvent[] {
    switch (event.kind) {
      case 'text':
      case 'reasoning':
      case 'tool_call_delta':
        return this.#content(event)
      case 'finish':
        this.#reason = event.reason
        return this.#close(event.reason === 'length' ? 'incomplete' : 'completed')
      case 'usage':
        this.#usage = event
        this.#status = this.#reason === 'length' ? 'incomplete' : 'completed'
        return [this.#lifecycle(`response.${this.#status}`)]
      case 'error':
        return this.fail(event.error)
      default:
        return []
    }
  }

  #start(): ResponseEvent[] {
    if (this.#status !== 'queued') return []
    this.#status = 'in_progress'
    return [this.#lifecycle('response.in_progress')]
  }

  #content(event: ContentEvent): ResponseEvent[] {
    if (event.kind !== 'tool_call_delta' && event.text === '' && !event.logprobs?.length) return []
    const call = event.kind === 'tool_call_delta' ? event.call : undefined
    const open = this.#open
    if (open !== undefined && open.call === call && open.writer.kind === event.kind) {
      return open.writer.add(event)
    }
    const events = this.#close('completed')
    const writer = this.#writer(event)
    this.#open = { writer, call }
    return [...events, ...writer.open(), ...writer.add(event)]
  }

  #close(status: 'completed' | 'incomplete'): ResponseEvent[] {
    if (this.#open === undefined) return []
    const { writer } = this.#open
    this.#open = undefined
    const events = writer.close(status)
    this.#items.push(writer.item)
    return events
  }

  #writer(event: ContentEvent): ItemWriter {
    if (event.kind === 'text') return createMessageWriter(this.#place('msg'))
    if (event.kind === 'reasoning') {
      return createReasoningWriter(this.#place('rs'), this.#format.reasoning)
    }
    const { kind, prefix, ...names } = this.#format.tools.called(event.name ?? '')
    const place = this.#place(prefix)
    const head = { call_id: `call_${event.id ?? place.item_id}`, ...names }
    return kind === 'function_call' || kind === 'custom_tool_call'
      ? createCallWriter(kind, place, head)
      : createClientCallWriter(kind, place, head)
  }

  #place(prefix: string): Place {
    const output_index = this.#items.length
    return { item_id: outputItemId(prefix, this.#head.id, output_index), output_index }
  }

  #lifecycle(type: string): ResponseEvent {
    return { type, response: this.response }
  }
}

function usageBody(usage: Usage): ResponseUsage {
  return {
    input_tokens: usage.promptTokens,
    input_tokens_details: { cached_tokens: usage.cachedTokens, cache_write_tokens: 0 },
    output_tokens: usage.completionTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.promptTokens + usage.completionTokens,
  }
}
