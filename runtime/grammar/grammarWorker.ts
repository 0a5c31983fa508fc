/** The grammar thread: compiling a hostile schema or sorting a vocabulary never holds up the event loop of the server. */
import { type MessagePort, parentPort } from 'node:worker_threads'
import { compileAutomaton } from './automaton.ts'
import { GrammarError } from './expr.ts'
import type { GrammarMessage, GrammarReply, GrammarRequest } from './grammarProtocol.ts'
import { lowerOutput } from './outputGrammar.ts'
import { buildTokenTrie } from './tokenTrie.ts'

function answer(request: GrammarRequest) {
  switch (request.op) {
    case 'vocabulary':
      return buildTokenTrie(request.pieces, request.vocabSize)
    case 'compile':
      return compileAutomaton(lowerOutput(request.output), request.limits)
  }
}

/** The memory of an answer, which goes with it. */
function arraysOf(reply: GrammarReply): ArrayBuffer[] {
  if (!('value' in reply)) return []
  const values: unknown[] = Object.values(reply.value)
  return values.flatMap(value =>
    ArrayBuffer.isView(value) && value.buffer instanceof ArrayBuffer ? [value.buffer] : [],
  )
}

function serve(port: MessagePort): void {
  port.on('message', ({ id, request }: GrammarMessage) => {
    let reply: GrammarReply
    try {
      reply = { id, value: answer(request) }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      // Rules that are nested too deeply for the stack are the grammar's fault as well.
      const isGrammarError = error instanceof GrammarError || error instanceof RangeError
      reply = { id, error: { isGrammarError, message } }
    }
    port.postMessage(reply, arraysOf(reply))
  })
}

if (parentPort) serve(parentPort)
