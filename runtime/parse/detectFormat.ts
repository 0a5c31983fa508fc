import type { OutputFormat } from './outputParser.ts'
import { reasoningFormats } from './reasoningFormats.ts'
import { type ToolCallFormat, toolCallFormats } from './toolCallFormats.ts'

/** Names that take the place of what the chat template tells; `none` switches a parser off. */
export interface ParserOverrides {
  toolCalls?: string
  reasoning?: string
}

/**
 * The format of a model's outputs, from the text of its chat template.
 * @param templates all its templates; none for a model without
 * @param described the format in which prompts tell of tools, for a template that shows none
 * @throws RangeError for an override that names no format, listing those there are, or another than prompts tell of
 */
export function detectFormat(
  templates: readonly string[],
  overrides: ParserOverrides = {},
  described?: string,
): OutputFormat {
  const reasoning = pick(reasoningFormats, templates, overrides.reasoning, '--reasoning-parser')
  // Harmony frames whole outputs, which leaves no place for calls in another form.
  const isApart = reasoning?.name === 'harmony' && described !== 'harmony'
  const told = described && isApart ? 'none' : described
  const calls = pick(toolCallFormats, templates, overrides.toolCalls ?? told, '--tool-call-parser')
  if (reasoning && calls && (reasoning.name === 'harmony') !== (calls.name === 'harmony')) {
    throw new RangeError(
      `--reasoning-parser ${reasoning.name} does not go with --tool-call-parser ${calls.name}: harmony frames the whole output`,
    )
  }
  if (described !== undefined && calls !== undefined && calls.name !== described) {
    throw new RangeError(
      `--tool-call-parser ${calls.name} does not go with this chat template, which shows no tools; ${described} or none does`,
    )
  }
  return { reasoning, calls }
}

/** The format that a chat template writes calls in. */
export function detectCalls(templates: readonly string[]): ToolCallFormat | undefined {
  return pick(toolCallFormats, templates, undefined, '--tool-call-parser')
}

function pick<F extends { name: string; template: RegExp }>(
  formats: readonly F[],
  templates: readonly string[],
  name: string | undefined,
  flag: string,
): F | undefined {
  if (name === 'none') return undefined
  if (name === undefined) {
    return formats.find(format => templates.some(text => format.template.test(text)))
  }
  const named = formats.find(format => format.name === name)
  if (named === undefined) {
    const names = formats.map(format => format.name).join(', ')
    throw new RangeError(`${flag} ${name} is not known; there are: ${names}, none`)
  }
  return named
}
