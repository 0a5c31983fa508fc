import { styleText } from 'node:util'
import { z } from 'zod'
import { Api, parseJson } from '../conformance/api.ts'
import { type CheckResult, runChecks } from '../conformance/runChecks.ts'

export interface ConformanceOptions {
  baseUrl: string
  apiKey?: string
  model?: string
  json?: boolean
}

/** `mistralrs conformance`: which points of the official clients' contracts a server keeps. Exit code 1 when some fail. */
export async function conformance(options: ConformanceOptions): Promise<number> {
  const { baseUrl, apiKey } = options
  const model = options.model ?? (await firstModel(new Api(baseUrl, apiKey, '')))
  const api = new Api(baseUrl, apiKey, model)
  const results: CheckResult[] = []
  for await (const result of runChecks(api)) {
    if (!options.json) print(result, results.at(-1)?.group)
    results.push(result)
  }
  const count = (outcome: CheckResult['outcome']) =>
    results.filter(result => result.outcome === outcome).length
  const [pass, fail, skip] = [count('pass'), count('fail'), count('skip')]
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ baseUrl, model, pass, fail, skip, results }, null, 2)}\n`
      : `\n${pass} passed, ${fail} failed, ${skip} skipped\n`,
  )
  return fail > 0 ? 1 : 0
}

/** @throws Error when nothing answers, or nothing that lists models */
async function firstModel(api: Api): Promise<string> {
  const { status, text } = await api.send('GET', '/v1/models').catch(cause => {
    throw new Error('no server answers there', { cause })
  })
  const { success, data } = modelList.safeParse(status === 200 ? parseJson(text, 'models') : null)
  if (success) return data.data[0].id
  throw new Error(`GET /v1/models answered ${status} without a model: name one with --model`)
}

const modelList = z.object({ data: z.tuple([z.object({ id: z.string() })], z.unknown()) })

const labels = {
  pass: styleText('green', 'PASS'),
  fail: styleText('red', 'FAIL'),
  skip: styleText('yellow', 'SKIP'),
}

function print({ group, name, section, outcome, reason }: CheckResult, groupBefore?: string): void {
  if (group !== groupBefore) process.stdout.write(`\n${group}\n`)
  const why = reason === '' ? '' : `\n         ${reason}`
  process.stdout.write(`  ${labels[outcome]}  ${name} (${section})${why}\n`)
}
