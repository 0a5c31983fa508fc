import type { JsonObject } from '../../../edge/engine.ts'
import { ChatTemplateError } from './chatTemplateError.ts'

/** What a template does with the conversations it is given. */
export interface TurnTraits {
  /** It knows the role `developer`; others are given `system` instead. */
  developerRole: boolean
  /** It shows a system turn at the beginning. */
  systemTurn: boolean
  /** It shows several of them there. */
  severalSystemTurns: boolean
  /** It shows a system turn between others, where it was. */
  lateSystemTurn: boolean
  /** It shows user turns that follow each other. */
  severalUserTurns: boolean
  /** It shows the tools there are. */
  tools: boolean
  /** It shows text that a system turn has as its `tools` (Phi-4-mini). */
  systemTools: boolean
  /** It shows tools that have a name and nothing more. */
  bareTools: boolean
  calls: CallTraits
}

/** How a template wants the tool calls of a turn. */
export interface CallTraits {
  /** It shows them. */
  shown: boolean
  /** Arguments as JSON in a string, instead of values. */
  argumentText: boolean
  /** A turn without text has no content, instead of an empty one. */
  nullContent: boolean
  /** Text and calls in turns of their own, or one of them is not shown. */
  apart: boolean
}

/** @throws ChatTemplateError when the template refuses */
type Render = (messages: JsonObject[], tools?: JsonObject[]) => string

/**
 * Tells a template's traits from what it makes of small conversations: it may refuse a turn, drop it or move it. Each is
 * tried when it is asked for, so that a template which takes long does not for conversations that need none.
 * A template that refuses even the smallest is given everything as it comes, to say so itself.
 * @param texts of the template, which has to name the role `developer` to know it
 */
export function turnTraits(texts: string[], render: Render): TurnTraits {
  // Some only work with tools.
  const trialTools = once(() =>
    [[], [TOOL]].find(tools => attempt(() => render([ask], tools)) !== undefined),
  )
  const shows = (messages: JsonObject[], contents: string[]) => {
    const tools = trialTools()
    if (tools === undefined) return true
    const text = attempt(() => render(messages, tools))
    return text !== undefined && areInOrder(text, contents)
  }
  const [one, two] = [system('rule one'), system('rule two')]
  const systemTurn = once(() => shows([one, ask], ['rule one']))
  const several = once(() => systemTurn() && shows([one, two, ask], ['rule one', 'rule two']))
  const late = once(() => {
    const turns = [...(systemTurn() ? [one] : []), ask, answer, two, again]
    return shows(turns, ['the answer', 'rule two', 'another question'])
  })
  const severalUsers = once(() => shows([ask, again], ['the question', 'another question']))
  const tools = once(
    () =>
      trialTools() === undefined ||
      attempt(() => render([ask], [TOOL]))?.includes(TOOL_NAME) === true,
  )
  const systemTools = once(
    () => attempt(() => render([{ ...one, tools: TOOL_NAME }, ask]))?.includes(TOOL_NAME) === true,
  )
  const bareTools = once(
    () => trialTools() === undefined || attempt(() => render([ask], [BARE_TOOL])) !== undefined,
  )
  const calls = once(() => (trialTools() === undefined ? plainCalls : callTraits(render)))
  return {
    developerRole: texts.some(text => /['"]developer['"]/.test(text)),
    get systemTurn() {
      return systemTurn()
    },
    get severalSystemTurns() {
      return several()
    },
    get lateSystemTurn() {
      return late()
    },
    get severalUserTurns() {
      return severalUsers()
    },
    get tools() {
      return tools()
    },
    get systemTools() {
      return systemTools()
    },
    get bareTools() {
      return bareTools()
    },
    get calls() {
      return calls()
    },
  }
}

function once<T>(find: () => T): () => T {
  let found: { value: T } | undefined
  return () => {
    found ??= { value: find() }
    return found.value
  }
}

const ask = { role: 'user', content: 'the question' }
const answer = { role: 'assistant', content: 'the answer' }
const again = { role: 'user', content: 'another question' }

function system(content: string): JsonObject {
  return { role: 'system', content }
}

const TOOL_NAME = 'probe'
const BARE_TOOL: JsonObject = { type: 'function', function: { name: TOOL_NAME } }
const ARGUMENTS = { place: 'the moon' }
const TOOL: JsonObject = {
  type: 'function',
  function: {
    name: TOOL_NAME,
    description: 'Tries.',
    parameters: { type: 'object', properties: { place: { type: 'string', description: 'where' } } },
  },
}

const plainCalls: CallTraits = {
  shown: false,
  argumentText: false,
  nullContent: false,
  apart: false,
}

function callTraits(render: Render): CallTraits {
  const styles = [false, true].flatMap(argumentText =>
    [true, false].map(nullContent => ({ shown: true, argumentText, nullContent, apart: false })),
  )
  const style = styles.find(style => showsCall(render, [ask, callTurn(style), callResult], style))
  if (style === undefined) return plainCalls
  const { content } = answer
  const together = [ask, { ...callTurn(style), content }, callResult]
  // To its end: some templates count the turns.
  const inTwo = [ask, answer, callTurn(style), callResult, closing, again]
  const apart =
    !showsCall(render, together, style, content) && showsCall(render, inTwo, style, content)
  return { ...style, apart }
}

/** Whether the call can be seen, and `beside` it. What is printed without being written as JSON is Python. */
function showsCall(
  render: Render,
  turns: JsonObject[],
  { argumentText }: CallTraits,
  beside = '',
): boolean {
  const text = attempt(() => render(turns, [TOOL]))
  if (text === undefined || /'the moon'|None/.test(text)) return false
  const shown = argumentText ? JSON.stringify(ARGUMENTS) : 'the moon'
  return text.includes(shown) && text.includes(beside)
}

function callTurn({ argumentText, nullContent }: CallTraits): JsonObject {
  const value = argumentText ? JSON.stringify(ARGUMENTS) : ARGUMENTS
  const call = {
    id: 'abcdefghi',
    type: 'function',
    function: { name: TOOL_NAME, arguments: value },
  }
  return { role: 'assistant', content: nullContent ? null : '', tool_calls: [call] }
}

const callResult: JsonObject = {
  role: 'tool',
  name: TOOL_NAME,
  tool_call_id: 'abcdefghi',
  content: 'the result',
}

const closing = { role: 'assistant', content: 'the closing' }

function attempt(render: () => string): string | undefined {
  try {
    return render()
  } catch (cause) {
    if (cause instanceof ChatTemplateError) return undefined
    throw cause
  }
}

function areInOrder(text: string, contents: string[]): boolean {
  let from = 0
  return contents.every(content => {
    const at = text.indexOf(content, from)
    from = at + content.length
    return at >= 0
  })
}
