//! L-BFGS on an [`Objective`], with argmin.

use std::cell::{Cell, RefCell};

use argmin::core::{CostFunction, Error as ArgminError, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;

use super::objective::{Objective, Value};
use super::reason;
use satmip::Result;

/// Pairs that are kept, as SciPy's and so scikit-learn's L-BFGS.
const MEMORY: usize = 10;

/// Evaluations of the objective for each iteration, at most and on average (our choice; 1.1 are usual): argmin's
/// line search alone has no bound.
const EVALUATIONS: usize = 3;

/// Where the search ended.
pub(super) struct Minimum {
    pub(super) parameters: Vec<f64>,
    pub(super) value: f64,
    pub(super) gradient_norm: f64,
    pub(super) iterations: usize,
}

/// Searches from `start` until the gradient's Euclidean norm is below `tolerance` or for `most` iterations.
///
/// A line search that finds no lower value (the last bits of the value decide nothing near the minimum)
/// starts the search anew from the best place, once without progress.
pub(super) fn minimise(
    objective: &Objective,
    start: Vec<f64>,
    tolerance: f64,
    most: usize,
) -> Result<Minimum> {
    let problem = Problem {
        objective,
        left: Cell::new(most.saturating_mul(EVALUATIONS).max(100)),
        last: RefCell::default(),
        best: RefCell::new(None),
    };
    problem.visit(&start)?;
    let mut best = problem.best(start.len())?;
    while best.gradient_norm >= tolerance && best.iterations < most && problem.left.get() > 1 {
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
            .with_tolerance_grad(tolerance)
            .and_then(|solver| solver.with_tolerance_cost(0.0))
            .map_err(|e| reason(format!("L-BFGS: {e}")))?;
        let left = (most - best.iterations) as u64;
        let run = Executor::new(&problem, solver)
            .configure(|state| state.param(best.parameters.clone()).max_iters(left))
            .ctrlc(false)
            .timer(false)
            .run()
            .map_err(|e| reason(format!("L-BFGS: {e}")))?;
        let mut found = problem.best(start.len())?;
        found.iterations = best.iterations + (run.state.get_iter() as usize).max(1);
        let stuck = found.gradient_norm >= best.gradient_norm;
        best = found;
        if stuck {
            break;
        }
    }
    Ok(best)
}

/// The objective as argmin asks for it: value and gradient of one place apart, which are computed together.
struct Problem<'o, 'a> {
    objective: &'o Objective<'a>,
    /// Evaluations that are left.
    left: Cell<usize>,
    last: RefCell<(Vec<f64>, Value)>,
    /// The place with the shortest gradient; the objective is convex, so that it is near the minimum.
    best: RefCell<Option<(Vec<f64>, Value, f64)>>,
}

impl Problem<'_, '_> {
    fn visit(&self, parameters: &[f64]) -> Result<Value> {
        let mut last = self.last.borrow_mut();
        if last.0 != parameters {
            // A search that goes astray ends here, and the best place stands.
            if parameters.iter().any(|p| !p.is_finite()) {
                return Err(reason("L-BFGS: a step is not finite"));
            }
            if self.left.get() == 0 {
                return Err(reason("L-BFGS: too many evaluations"));
            }
            self.left.set(self.left.get() - 1);
            let value = self.objective.at(parameters)?;
            let norm = value.gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            let mut best = self.best.borrow_mut();
            if norm.is_finite() && best.as_ref().is_none_or(|best| norm < best.2) {
                *best = Some((parameters.to_vec(), value.clone(), norm));
            }
            *last = (parameters.to_vec(), value);
        }
        Ok(last.1.clone())
    }

    fn best(&self, parameters: usize) -> Result<Minimum> {
        let best = self.best.borrow();
        let (place, value, norm) = best
            .as_ref()
            .ok_or_else(|| reason(format!("no finite loss of {parameters} parameters")))?;
        Ok(Minimum {
            parameters: place.clone(),
            value: value.value,
            gradient_norm: *norm,
            iterations: 0,
        })
    }
}

impl CostFunction for &Problem<'_, '_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, parameters: &Vec<f64>) -> Result<f64, ArgminError> {
        Ok(self.visit(parameters)?.value)
    }
}

impl Gradient for &Problem<'_, '_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, parameters: &Vec<f64>) -> Result<Vec<f64>, ArgminError> {
        Ok(self.visit(parameters)?.gradient)
    }
}
