class LayoutLearner: pass
