/** Schemas that describe fields whose checks know more than a type; they are in `openapi/*Bodies.ts`. */
export type Shape =
  | 'ResponseInput'
  | 'ResponseToolChoice'
  | 'MessageContent'
  | 'Messages'
  | 'MessageTools'
  | 'MessageToolChoice'
  | 'MessageThinking'
  | 'MessageFormat'
  | 'StopSequences'

/** Where a schema of this name is in the document. */
export function componentRef(name: string): string {
  return `#/components/schemas/${name}`
}
