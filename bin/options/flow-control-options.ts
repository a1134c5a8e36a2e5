/** Apart from what reads them: `podwright` says what options there are without loading a server. */
import { Option, type Command } from 'commander';

/** How many requests at once, as given. */
export interface FlowControlCommandOptions {
  /** `true` or `false`. */
  readonly enablePriorityAndFairness: string;
  readonly maxRequestsInflight: number;
  readonly maxMutatingRequestsInflight: number;
}

/** Of each of the two. */
const requestsMax = 5_000;

/** @param integer reads a whole number between two others */
export function addFlowControlOptions(
  command: Command,
  integer: (minimum: number, maximum: number) => (text: string) => number,
): Command {
  return command
    .addOption(
      new Option(
        '--enable-priority-and-fairness <bool>',
        'share the seats below out by FlowSchemas and PriorityLevelConfigurations',
      )
        .choices(['true', 'false'])
        .default('true'),
    )
    .option(
      '--max-requests-inflight <count>',
      'requests at once that only read; with the next, the seats of the server',
      integer(0, requestsMax),
      400,
    )
    .option(
      '--max-mutating-requests-inflight <count>',
      'requests at once that write; 0 of either without priority and fairness: any number',
      integer(0, requestsMax),
      200,
    );
}

/** What is wrong with them. Pure. */
export function flowControlProblems({
  enablePriorityAndFairness,
  maxRequestsInflight,
  maxMutatingRequestsInflight,
}: FlowControlCommandOptions): readonly string[] {
  return enablePriorityAndFairness === 'true' && maxRequestsInflight + maxMutatingRequestsInflight === 0
    ? [
        '--max-requests-inflight 0, --max-mutating-requests-inflight 0: no seats to share out; ' +
          'give more, or --enable-priority-and-fairness false',
      ]
    : [];
}

/** As the API server takes them. */
export function readFlowControl(options: FlowControlCommandOptions): {
  readonly isFair: boolean;
  readonly maxRequestsInflight: number;
  readonly maxMutatingRequestsInflight: number;
} {
  const { enablePriorityAndFairness, maxRequestsInflight, maxMutatingRequestsInflight } = options;
  return { isFair: enablePriorityAndFairness === 'true', maxRequestsInflight, maxMutatingRequestsInflight };
}
