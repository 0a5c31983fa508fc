import { harmonyOutput } from './harmonyOutput.ts'
import type { ReasoningFormat } from './reasoningFormats.ts'
import { taggedOutput } from './taggedOutput.ts'
import { type ParsedDelta, Tape, type Wait } from './tape.ts'
import type { DeclaredTools } from './toolCall.ts'
import type { ToolCallFormat } from './toolCallFormats.ts'

/** What the outputs of a model are read as. */
export interface OutputFormat {
  reasoning: ReasoningFormat | undefined
  calls: ToolCallFormat | undefined
}

/**
 * Tells text, reasoning and tool calls of one output apart, as it arrives. The same output gives the same deltas (neighbours of
 * one kind joined) whatever pieces it comes in, but for their `end`.
 */
export class OutputParser {
  readonly #tape = new Tape()
  readonly #run: Wait<void>

  /**
   * @param tools what may be called; a call of anything else is text
   * @param promptTail end of the rendered prompt, in which a reasoning block may be open
   */
  constructor(format: OutputFormat, tools: DeclaredTools, promptTail: string) {
    const { reasoning, calls } = format
    if (isHarmony(format)) {
      const options = { tools: calls ? tools : new Map(), reasoning: reasoning !== undefined }
      this.#run = harmonyOutput(this.#tape, { ...options, promptTail })
    } else {
      const startsInReasoning = endsInBlock(promptTail, reasoning)
      this.#run = taggedOutput(this.#tape, { reasoning, calls, tools, startsInReasoning })
    }
  }

  /** @param text next piece of the output; control tokens only where they are markers of the format */
  push(text: string): ParsedDelta[] {
    this.#tape.feed(text)
    this.#run.next()
    return this.#tape.takeDeltas()
  }

  /** Ends the output. */
  flush(): ParsedDelta[] {
    this.#tape.end()
    this.#run.next()
    return this.#tape.takeDeltas()
  }
}

function isHarmony({ reasoning, calls }: OutputFormat): boolean {
  return reasoning?.name === 'harmony' || calls?.name === 'harmony'
}

/** Whether a prompt ends in the tag that opens a reasoning block. */
export function endsInBlock(prompt: string, reasoning: ReasoningFormat | undefined): boolean {
  return reasoning !== undefined && prompt.trimEnd().endsWith(reasoning.open)
}
