import type { OutputFormat } from './outputParser.ts'
import { reasoningFormats } from './reasoningFormats.ts'
import { toolCallFormats } from './toolCallFormats.ts'

/** Names that take the place of what the chat template tells; `none` switches a parser off. */
export interface ParserOverrides {
  toolCalls?: string
  reasoning?: string
}

/**
 * The format of a model's outputs, from the text of its chat template.
 * @param templates all its templates; none for a model without
 * @throws RangeError for an override that names no format, listing those there are
 */
export function detectFormat(
  templates: readonly string[],
  overrides: ParserOverrides = {},
): OutputFormat {
  const format = {
    reasoning: pick(reasoningFormats, templates, overrides.reasoning, '--reasoning-parser'),
    calls: pick(toolCallFormats, templates, overrides.toolCalls, '--tool-call-parser'),
  }
  const { reasoning, calls } = format
  if (reasoning && calls && (reasoning.name === 'harmony') !== (calls.name === 'harmony')) {
    throw new RangeError(
      `--reasoning-parser ${reasoning.name} does not go with --tool-call-parser ${calls.name}: harmony frames the whole output`,
    )
  }
  return format
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
