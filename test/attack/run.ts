/** `npm run test:attack -- [--seconds 600] [--only NAME]`: the attack lane, for as long as it is given; every capability by itself as well. */
import { parseArgs } from 'node:util';

import { runLane } from './lane.ts';
import { profiles, single } from './profiles.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string' }, only: { type: 'string' } } });
const chosen = [...profiles, ...single].filter(
  ({ name }) => values.only === undefined || name === values.only,
);
const report = await runLane({
  seconds: Number(values.seconds ?? 600),
  profiles: chosen,
  say: console.log,
});
console.log(JSON.stringify(report, undefined, 2));
process.exit(report.hits.length > 0 ? 1 : 0);
