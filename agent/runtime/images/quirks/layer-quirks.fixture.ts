/** What builders write into layers, a row for each quirk, with who is known for it. */
import { attributes, links, names } from './entry-quirks.fixture.ts';
import type { LayerQuirk } from './quirk.fixture.ts';
import { sparse, streams } from './stream-quirks.fixture.ts';
import { parents, replaced, whiteouts } from './tree-quirks.fixture.ts';

export const layerQuirks: readonly LayerQuirk[] = [
  ...whiteouts,
  ...parents,
  ...links,
  ...replaced,
  ...attributes,
  ...names,
  ...sparse,
  ...streams,
];
