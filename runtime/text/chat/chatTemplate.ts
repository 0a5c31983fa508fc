import type {
  ChatMessage,
  ChatPrompt,
  FunctionTool,
  JsonObject,
  ToolDefinition,
} from '../../../edge/engine.ts'
import { detectCalls } from '../../parse/detectFormat.ts'
import { hermes, type ToolCallFormat, type WrittenCalls } from '../../parse/toolCallFormats.ts'
import { contentText, toTemplateMessages } from './chatMessages.ts'
import { ChatTemplateError } from './chatTemplateError.ts'
import { toTemplateTurns } from './chatTurns.ts'
import { JinjaError } from './jinja/errors.ts'
import { JinjaTemplate } from './jinja/template.ts'
import {
  CUSTOM_INPUT,
  fitToolHistory,
  type ToolHistoryTraits,
  toolHistoryTraits,
} from './toolHistory.ts'
import {
  concernsTools,
  describeTools,
  putOnSystemTurn,
  toTextCalls,
  toTextTurns,
} from './toolTurns.ts'
import { type TurnTraits, turnTraits } from './turnTraits.ts'

export interface SpecialTokenTexts {
  bos_token?: string
  eos_token?: string
  pad_token?: string
  unk_token?: string
}

/** One template, or several by name: `tool_use` is for requests with tools, `default` for the others. */
export type ChatTemplateSource = string | Map<string, string>

export function templateTexts(source: ChatTemplateSource): string[] {
  return typeof source === 'string' ? [source] : [...source.values()]
}

/**
 * A model's chat template, rendered as `transformers` does (`apply_chat_template`).
 * Source: `transformers/utils/chat_template_utils.py`.
 */
export class ChatTemplate {
  readonly #historyTraits: ToolHistoryTraits
  readonly #turnTraits: TurnTraits
  readonly #source: ChatTemplateSource
  readonly #specialTokens: SpecialTokenTexts
  readonly #now: () => Date
  readonly #compiled = new Map<string, JinjaTemplate>()

  /** @param now the clock that templates print dates from */
  constructor(
    source: ChatTemplateSource,
    specialTokens: SpecialTokenTexts,
    now: () => Date = () => new Date(),
  ) {
    this.#now = now
    this.#source = source
    this.#specialTokens = specialTokens
    const texts = templateTexts(source)
    this.#historyTraits = toolHistoryTraits(texts)
    this.#turnTraits = turnTraits(texts, (messages, tools = []) =>
      this.renderVariables(conversation(messages, tools, true)),
    )
  }

  /**
   * The text of a conversation, control tokens written out, ready to be tokenized without adding special tokens.
   * @throws ChatTemplateError with the template's own words when it refuses
   */
  render(prompt: ChatPrompt): string {
    const { messages, addGenerationPrompt } = prompt
    const last = messages.at(-1)
    if (addGenerationPrompt !== false || last?.role !== 'assistant') {
      return this.#render(prompt, messages, addGenerationPrompt ?? true)
    }
    const final = contentText(last.content)
    // Nothing to go on from yet: that is a new turn.
    if (final.trim() === '') return this.#render(prompt, messages.slice(0, -1), true)
    return cutAfterFinal(this.#render(prompt, messages, false), final)
  }

  #render(
    prompt: ChatPrompt,
    messages: ChatPrompt['messages'],
    addGenerationPrompt: boolean,
  ): string {
    const traits = this.#turnTraits
    const history = fitToolHistory(messages, prompt.tools ?? [], this.#historyTraits)
    const tools = functionTools(prompt.tools ?? [])
    const needsTools = tools.length > 0 || history.some(concernsTools)
    const described = needsTools ? this.describedCalls : undefined
    const onSystemTurn = needsTools ? this.#callsBesideSystemTools : undefined
    const turns = described
      ? this.#describe(history, tools, described.written)
      : onSystemTurn
        ? toTextCalls(history, onSystemTurn.written)
        : history
    const shown = toTemplateMessages(toTemplateTurns(turns, traits), () => traits.calls)
    return this.renderVariables({
      ...conversation(
        onSystemTurn ? putOnSystemTurn(shown, tools) : shown,
        described || onSystemTurn ? [] : this.#wholeTools(tools),
        addGenerationPrompt,
      ),
      ...reasoningVariables(prompt.reasoning),
      ...prompt.templateOptions,
    })
  }

  /** Some templates fail on a tool that says less than everything. */
  #wholeTools(tools: FunctionTool[]): FunctionTool[] {
    const isBare = ({ function: { description, parameters } }: FunctionTool) =>
      description === undefined || parameters === undefined
    if (!tools.some(isBare) || this.#turnTraits.bareTools) return tools
    const empty = { description: '', parameters: { type: 'object', properties: {} } }
    return tools.map(tool => ({ ...tool, function: { ...empty, ...tool.function } }))
  }

  /**
   * The format of calls in which the system turn tells of tools; undefined for a template that shows them itself, as is found out
   * by trial. It is the template's own if that writes calls, else Hermes, which models have seen most.
   */
  get describedCalls(): ToolCallFormat | undefined {
    if (this.#turnTraits.tools || this.#callsBesideSystemTools) return undefined
    return (this.#turnTraits.calls.shown ? this.#ownCalls : undefined) ?? hermes
  }

  /** The format of calls in a template that shows tools on the system turn and calls not at all; undefined for others. */
  get #callsBesideSystemTools(): ToolCallFormat | undefined {
    const { tools, systemTools, calls } = this.#turnTraits
    return !tools && systemTools && !calls.shown ? this.#ownCalls : undefined
  }

  get #ownCalls(): ToolCallFormat | undefined {
    const own = detectCalls(templateTexts(this.#source))
    return own?.written.arguments === 'json' ? own : undefined
  }

  #describe(history: ChatMessage[], tools: FunctionTool[], written: WrittenCalls): ChatMessage[] {
    const isText = !this.#turnTraits.calls.shown || written === hermes.written
    return describeTools(isText ? toTextTurns(history, written) : history, tools, written)
  }

  /** Parses the template for requests without tools. @throws ChatTemplateError when it cannot be used */
  compile(): void {
    this.#template(false)
  }

  /** Renders with exactly these variables beside the special tokens. */
  renderVariables(variables: JsonObject): string {
    const template = this.#template(variables.tools !== null && variables.tools !== undefined)
    try {
      return template.render({ ...this.#specialTokens, ...variables }, this.#now)
    } catch (cause) {
      throw new ChatTemplateError(describeFailure(cause), { cause })
    }
  }

  #template(hasTools: boolean): JinjaTemplate {
    const text = selectTemplate(this.#source, hasTools)
    const compiled = this.#compiled.get(text)
    if (compiled) return compiled
    try {
      const template = new JinjaTemplate(text)
      this.#compiled.set(text, template)
      return template
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : String(cause)
      throw new ChatTemplateError(`the chat template cannot be used: ${detail}`, { cause })
    }
  }
}

/** The variables every template gets. */
function conversation(messages: JsonObject[], tools: JsonObject[], addGenerationPrompt: boolean) {
  return {
    messages,
    tools: tools.length > 0 ? tools : null,
    documents: null,
    add_generation_prompt: addGenerationPrompt,
  }
}

/** What the template says itself, else what went wrong in it. */
function describeFailure(cause: unknown): string {
  if (cause instanceof JinjaError) {
    return cause.kind === 'TemplateError'
      ? cause.message
      : `the chat template failed on this conversation: ${cause.kind}: ${cause.message}`
  }
  // Recursion without an end, or a text that no string can hold.
  if (cause instanceof RangeError) {
    const isStack = cause.message.includes('call stack')
    return `the chat template ${isStack ? 'nests too deeply' : 'makes too long a text'}`
  }
  return cause instanceof Error ? cause.message : String(cause)
}

function selectTemplate(source: ChatTemplateSource, hasTools: boolean): string {
  if (typeof source === 'string') return source
  const text = (hasTools ? source.get('tool_use') : undefined) ?? source.get('default')
  if (text === undefined) {
    const names = [...source.keys()].join(', ')
    throw new ChatTemplateError(`the model has no default chat template, only: ${names}`)
  }
  return text
}

/** Text up to the end of the last message's content, so that the model goes on with it. */
function cutAfterFinal(rendered: string, final: string): string {
  const at = rendered.lastIndexOf(final.trim())
  if (at < 0) {
    throw new ChatTemplateError(
      'the chat template changes the last message, it cannot be continued',
    )
  }
  const whole = final.trimStart()
  const isKept = rendered.startsWith(whole, at)
  return rendered.slice(0, at + (isKept ? whole.length : final.trim().length))
}

/** The names templates have for it; one that reads none of them thinks as it likes. */
function reasoningVariables(reasoning: ChatPrompt['reasoning']): JsonObject {
  const { enabled, effort } = reasoning ?? {}
  return {
    ...(enabled !== undefined && { enable_thinking: enabled, thinking: enabled }),
    ...(effort !== undefined && { reasoning_effort: effort }),
  }
}

/** Templates know functions only: a tool whose input is text is one with a single string. */
export function functionTools(tools: ToolDefinition[]): FunctionTool[] {
  return tools.map(tool => {
    if (tool.type === 'function') return tool
    const { name, description } = tool
    return {
      type: 'function',
      function: {
        name,
        ...(description !== undefined && { description }),
        parameters: {
          type: 'object',
          properties: { [CUSTOM_INPUT]: { type: 'string' } },
          required: [CUSTOM_INPUT],
        },
      },
    }
  })
}
