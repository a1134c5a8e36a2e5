import { runPluginProcess } from '#cni-plugins/skel/main.ts';
import { bridge } from './bridge.ts';

await runPluginProcess(bridge);
