import { runPluginProcess } from '#cni-plugins/skel/main.ts';
import { loopback } from './loopback.ts';

await runPluginProcess(loopback);
