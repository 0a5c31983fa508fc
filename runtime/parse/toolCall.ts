import type { JsonObject } from '../../edge/engine.ts'
import { JsonScanner } from './jsonScanner.ts'
import { MalformedCall, type Tape, type Wait } from './tape.ts'

/** The tools that a job declares, by name, with the JSON schema of their arguments. */
export type DeclaredTools = ReadonlyMap<string, JsonObject>

/**
 * Reads the name of a declared tool, giving up at the first character that none of them goes on with.
 * @throws MalformedCall for every other name
 */
export function* toolName(tape: Tape, tools: DeclaredTools): Wait<string> {
  const names = [...tools.keys()]
  let name = ''
  for (;;) {
    const next = name + (yield* tape.peek())
    if (next === name || !names.some(other => other.startsWith(next))) break
    name = next
    tape.advance()
  }
  if (!tools.has(name)) throw new MalformedCall()
  return name
}

/**
 * A call on its way out. It starts when the parser is sure enough to `start` it: until then its pieces wait, so that what
 * turns out to be no call can still be text.
 */
export class CallWriter {
  readonly #tape: Tape
  readonly #name: string
  #waiting = ''
  #isStarted = false

  constructor(tape: Tape, name: string) {
    this.#tape = tape
    this.#name = name
  }

  write(json: string): void {
    if (this.#isStarted) this.#tape.give('call_arguments', json)
    else this.#waiting += json
  }

  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#tape.startCall(this.#name)
    this.#tape.give('call_arguments', this.#waiting)
  }

  /** @param json the rest of the arguments */
  end(json = ''): void {
    this.start()
    this.write(json)
    this.#tape.endCall()
  }
}

/** Streams a JSON object that stands in the output as the arguments of a call. @throws MalformedCall */
export function* jsonArguments(tape: Tape, call: CallWriter): Wait<void> {
  if ((yield* tape.peek()) !== '{') throw new MalformedCall()
  yield* scanJson(tape, (json, scanner) => {
    call.write(json)
    if (scanner.isPastStart) call.start()
  })
}

/** Moves over one JSON object, list or string. @throws MalformedCall */
export function* scanJson(
  tape: Tape,
  take: (json: string, scanner: JsonScanner) => void,
): Wait<void> {
  const scanner = new JsonScanner()
  while (!scanner.isDone) {
    const character = tape.current || (yield* tape.peek())
    const json = character === '' ? undefined : scanner.write(character)
    if (json === undefined) throw new MalformedCall()
    tape.advance()
    take(json, scanner)
  }
}
