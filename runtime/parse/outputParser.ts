import { CustomInput } from './customInput.ts'
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
  readonly #customTools: ReadonlySet<string>
  readonly #isHeldToCalls: boolean
  /** Of the call under way, if it is one of a custom tool. */
  #input: CustomInput | undefined

  /**
   * @param tools what may be called; a call of anything else is text
   * @param promptTail end of the rendered prompt, in which a reasoning block may be open
   * @param customTools those of the tools whose arguments are the text of their one argument
   * @param isHeldToCalls the output is held to calls: what it is cut in is the beginning of one, not text
   */
  constructor(
    format: OutputFormat,
    tools: DeclaredTools,
    promptTail: string,
    customTools: ReadonlySet<string> = new Set(),
    isHeldToCalls = false,
  ) {
    const { reasoning, calls } = format
    this.#customTools = customTools
    this.#isHeldToCalls = isHeldToCalls
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
    return this.#advance()
  }

  /** Ends the output. */
  flush(): ParsedDelta[] {
    this.#tape.end()
    return this.#advance().map(delta =>
      this.#isHeldToCalls && delta.kind === 'text' ? { ...delta, text: '' } : delta,
    )
  }

  #advance(): ParsedDelta[] {
    this.#run.next()
    return this.#tape.takeDeltas().map(delta => {
      if (delta.kind === 'call_start') {
        this.#input = this.#customTools.has(delta.name) ? new CustomInput() : undefined
      }
      return delta.kind === 'call_arguments' && this.#input !== undefined
        ? { ...delta, text: this.#input.push(delta.text) }
        : delta
    })
  }
}

function isHarmony({ reasoning, calls }: OutputFormat): boolean {
  return reasoning?.name === 'harmony' || calls?.name === 'harmony'
}

/** Whether a prompt ends in the tag that opens a reasoning block. */
export function endsInBlock(prompt: string, reasoning: ReasoningFormat | undefined): boolean {
  return reasoning !== undefined && prompt.trimEnd().endsWith(reasoning.open)
}
