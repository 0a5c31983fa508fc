import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { JsonObject } from '../../edge/engine.ts'
import { ChatTemplate } from '../../runtime/text/chat/chatTemplate.ts'
import { ChatTemplateError } from '../../runtime/text/chat/chatTemplateError.ts'
import type { Difference, SuiteResult } from './report.ts'

const goldenFile = z.object({
  special_tokens: z.record(z.string(), z.string()),
  /** What `strftime_now` saw, local time. */
  now: z.string(),
  cases: z.array(
    z.object({
      case: z.string().optional(),
      name: z.string().optional(),
      template: z.string().optional(),
      messages: z.array(z.json()),
      tools: z.array(z.json()).nullable(),
      kwargs: z.record(z.string(), z.json()),
      /** One of the two: the text, or that the template refuses. */
      expected: z.string().optional(),
      error: z.string().optional(),
    }),
  ),
})
type Case = z.infer<typeof goldenFile>['cases'][number]

/** Runs every `*.json` of a folder through the chat template renderer. */
export async function runTemplates(dir: string): Promise<SuiteResult[]> {
  const names = (await readdir(dir)).filter(name => name.endsWith('.json')).sort()
  return Promise.all(names.map(name => runFile(dir, name)))
}

async function runFile(dir: string, file: string): Promise<SuiteResult> {
  const golden = goldenFile.parse(JSON.parse(await readFile(join(dir, file), 'utf8')))
  const beside = file.endsWith('.golden.json')
    ? await readFile(join(dir, file.replace(/\.golden\.json$/, '.jinja')), 'utf8')
    : undefined
  const differences: Difference[] = []
  for (const [i, entry] of golden.cases.entries()) {
    const source = entry.template ?? beside
    const actual =
      source === undefined
        ? 'no template'
        : outcome(source, entry, golden.special_tokens, new Date(golden.now))
    const expected = entry.expected ?? 'error'
    const isEqual = entry.expected === undefined ? actual.startsWith('error') : actual === expected
    const name = entry.case ?? entry.name ?? String(i)
    if (!isEqual) differences.push({ name, expected: entry.error ?? expected, actual })
  }
  const cases = golden.cases.length
  return { file, cases, equal: cases - differences.length, differences }
}

function outcome(
  source: string,
  entry: Case,
  specialTokens: Record<string, string>,
  now: Date,
): string {
  const variables: JsonObject = {
    messages: entry.messages,
    tools: entry.tools,
    documents: null,
    add_generation_prompt: true,
    ...entry.kwargs,
  }
  try {
    return new ChatTemplate(source, specialTokens, () => now).renderVariables(variables)
  } catch (error) {
    if (error instanceof ChatTemplateError) return `error: ${error.message}`
    throw error
  }
}
