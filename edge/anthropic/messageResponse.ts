import { EngineError, type GenerateEvent, type Usage } from '../engine.ts'
import type { Reply } from '../http/reply.ts'
import { endedEarly } from '../jobs/collect.ts'
import { parseJsonObject } from '../jsonObject.ts'
import { type BlockStep, type ContentBlock, ContentBlocks } from './contentBlocks.ts'
import {
  type Finish,
  type MessageFormat,
  messageBody,
  messageEnd,
  usageBody,
} from './messageBody.ts'

/** Folds the events of a run into a message. Both calls throw EngineError: for an error event, or for a missing end. */
export function createMessageCollector(reply: Reply, format: MessageFormat) {
  const blocks = new ContentBlocks(format.showThinking)
  const content: ContentBlock[] = []
  let input = ''
  let finish: Finish | undefined
  let usage: Usage | undefined

  const apply = (step: BlockStep) => {
    if (step.kind === 'start') {
      content.push(step.block)
      input = ''
      return
    }
    const block = content.at(-1)
    if (step.kind === 'stop') {
      if (block?.type === 'tool_use') block.input = parsedInput(input)
    } else if (step.delta.type === 'input_json_delta') input += step.delta.partial_json
    else if (step.delta.type === 'text_delta' && block?.type === 'text') {
      block.text += step.delta.text
    } else if (step.delta.type === 'thinking_delta' && block?.type === 'thinking') {
      block.thinking += step.delta.thinking
    } else if (step.delta.type === 'signature_delta' && block?.type === 'thinking') {
      block.signature = step.delta.signature
    }
  }

  return {
    take(events: GenerateEvent[]): void {
      for (const event of events) {
        if (event.kind === 'error') throw new EngineError(event.error)
        if (event.kind === 'usage') usage = event
        if (event.kind === 'finish') finish = event
        for (const step of blocks.take(event)) apply(step)
      }
    },
    result() {
      if (usage === undefined || finish === undefined) throw endedEarly()
      const end = messageEnd(finish, usage.completionTokens, format)
      return { message: messageBody(reply, content, end, usageBody(usage)), usage }
    },
  }
}

/** An object even where the model wrote something else, for clients that look inside without asking. */
function parsedInput(text: string): object {
  return parseJsonObject(text === '' ? '{}' : text) ?? { arguments: text }
}
