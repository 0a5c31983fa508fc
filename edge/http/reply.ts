/** What all objects of one answer share; ids and time come from the caller. */
export interface Reply {
  id: string
  /** Unix seconds. */
  created: number
  model: string
  fingerprint: string | null
}
