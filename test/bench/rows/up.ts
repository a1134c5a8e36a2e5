import type { Row } from '../row.ts'; export const up: Row = { name: 'up', inNamespaces: true, run: async () => [] };
