/** A table, and the rules that it has and should have: of one that is others', too, ours. */
export interface TableFact {
  readonly name: string;
  readonly family: 'ip' | 'ip6';
  readonly rulesWanted: number;
  readonly rulesFound: number;
}
