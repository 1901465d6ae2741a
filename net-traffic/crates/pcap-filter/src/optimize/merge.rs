//! Merges equal blocks, and removes blocks without effect and unreachable blocks.

use std::collections::HashMap;

use super::super::graph::{Block, BlockId, Graph, Terminator};

pub(super) fn merge(graph: &mut Graph) {
    let mut order = graph.topological_order();
    order.reverse();
    let mut new_ids: HashMap<BlockId, BlockId> = HashMap::new();
    let mut known: HashMap<Block, BlockId> = HashMap::new();
    let mut merged = Graph { blocks: Vec::new(), entry: BlockId(0) };
    for id in order {
        let mut block = graph.block(id).clone();
        if let Terminator::Branch { yes, no, .. } = &mut block.terminator {
            (*yes, *no) = (new_ids[yes], new_ids[no]);
            if yes == no && block.stmts.is_empty() {
                new_ids.insert(id, *yes);
                continue;
            }
        }
        let new_id = *known.entry(block.clone()).or_insert_with(|| merged.add(block));
        new_ids.insert(id, new_id);
    }
    merged.entry = new_ids[&graph.entry];
    *graph = merged;
}
