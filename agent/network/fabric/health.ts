/** What a node says of its fabric: a condition of its Node, and an event when that changes. */
import type { PathProblem } from './paths.ts';
import type { NodeFault } from './self-test/self-test.ts';

/** A condition of a Node without its times. */
export interface ReportedCondition {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

export interface FabricHealth {
  setProblems(problems: readonly PathProblem[]): void;
  setFaults(faults: readonly NodeFault[]): void;
  condition(): ReportedCondition;
}

/** Nodes that a message names; of more it says how many. */
const namedMax = 3;

/** `onChange`: the condition is another. */
export function createFabricHealth(onChange: (condition: ReportedCondition) => void): FabricHealth {
  let problems: readonly PathProblem[] = [];
  let faults: readonly NodeFault[] = [];
  let condition = renderFabricCondition(problems, faults);
  const look = (): void => {
    const next = renderFabricCondition(problems, faults);
    const isSame = next.reason === condition.reason && next.message === condition.message;
    condition = next;
    if (!isSame) onChange(next);
  };
  return {
    setProblems: (given) => {
      problems = given;
      look();
    },
    setFaults: (given) => {
      faults = given;
      look();
    },
    condition: () => condition,
  };
}

/** As NetworkUnavailable: True is bad. No taint follows: pods of the node itself are reached. Pure. */
export function renderFabricCondition(
  problems: readonly PathProblem[],
  faults: readonly NodeFault[],
): ReportedCondition {
  const type = 'FabricDegraded';
  const [problem] = problems;
  const [fault] = faults;
  if (problem === undefined && fault === undefined)
    return {
      type,
      status: 'False',
      reason: 'FabricSound',
      message: 'packets of pods pass to all nodes that were asked',
    };
  const texts = [...problems, ...faults].map(({ node, message }) =>
    node === '' ? message : `${node}: ${message}`,
  );
  const rest = texts.length - namedMax;
  return {
    type,
    status: 'True',
    reason: fault?.fault ?? 'FabricNotAsAsked',
    message: `${texts.slice(0, namedMax).join('; ')}${rest > 0 ? `; and ${rest} more` : ''}`,
  };
}
