import { z } from 'zod'
import type { Answer, Api } from './api.ts'
import { NotHere, NotMet } from './outcome.ts'

/** A point of a contract that official clients rely on. */
export interface Check {
  name: string
  /** Section of the HTTP reference. */
  section: string
  /** Returns where the point holds; throws `NotMet` where it does not, `NotHere` where the server lacks the capability. */
  run(api: Api): Promise<void>
}

/** @throws NotMet with the reason, unless the condition holds */
export function must(condition: unknown, reason: string): asserts condition {
  if (!condition) throw new NotMet(reason)
}

/** @throws NotMet with the first place where the value is of another shape */
export function fits<T extends z.ZodType>(schema: T, value: unknown, what: string): z.infer<T> {
  const { success, data, error } = schema.safeParse(value)
  if (success) return data
  const [issue] = error.issues
  throw new NotMet(`${what}: ${issue?.path.join('.') || 'the body'}: ${issue?.message}`)
}

const statusesOfLack = [404, 405, 501]

/** @throws NotHere where the route is not there; NotMet for any other status than 200 */
export function mustSucceed(answer: Answer, what: string): void {
  if (answer.status === 200) return
  const reason = `${what} answered ${answer.status}: ${toldOf(answer).message}`
  if (statusesOfLack.includes(answer.status)) throw new NotHere(reason)
  throw new NotMet(reason)
}

/** As `mustSucceed`, but a 400 too means that the server, or its model, does not do it. */
export function mustBeHere(answer: Answer, what: string): void {
  if (answer.status === 400) throw new NotHere(`${what} was refused: ${toldOf(answer).message}`)
  mustSucceed(answer, what)
}

const errorBody = z.object({
  error: z.object({ message: z.string(), param: z.string().nullish() }),
})

/** What an error says, in whatever form. */
export function toldOf({ text }: Answer): { message: string; param?: string | null | undefined } {
  try {
    return errorBody.parse(JSON.parse(text)).error
  } catch {
    return { message: text.slice(0, 160) }
  }
}
