export interface Finding {
  readonly what: string;
  readonly state: 'ok' | 'missing' | 'limited';
  readonly detail: string;
  /** What to do about it; empty when all is well. */
  readonly remedy: string;
}
