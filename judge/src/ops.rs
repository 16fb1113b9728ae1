//! The three operations that candle composes from many passes over memory, fused, with their gradients. Loops are written
//! for the vectoriser; `pulp` picks the widest instructions that the processor has.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Error, Layout, Result, Shape, Tensor};
use pulp::Arch;

fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let all = storage.as_slice::<f32>()?;
    let (from, to) = layout.contiguous_offsets().ok_or_else(|| Error::Msg("needs a contiguous tensor".into()))?;
    Ok(&all[from..to])
}

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// e^x to about 1e-7, without a branch or a cast, so that it vectorises. Cephes' polynomial.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it leaves the rounded integer in the low bits
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = ((((1.987_569_1e-4 * r + 1.398_199_9e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r + 1.666_666_5e-1)
        * r
        + 0.5;
    let two_n = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    (p * r * r + r + 1.0) * two_n
}

/// The normal distribution's cumulative function, by Abramowitz and Stegun 7.1.26 (error below 1.5e-7).
#[inline(always)]
fn normal_cdf(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly =
        ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6) * t * exp(-z * z);
    let half = 0.5 * poly;
    if x < 0.0 { half } else { 1.0 - half }
}

/// GELU, the exact one of BERT.
pub struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = floats(storage, layout)?;
        let mut y = vec![0.0; x.len()];
        Arch::new().dispatch(|| {
            for (y, x) in y.iter_mut().zip(x) {
                *y = x * normal_cdf(*x);
            }
        });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (x, mut g) = (values(arg)?, values(grad)?);
        Arch::new().dispatch(|| {
            for (g, x) in g.iter_mut().zip(&x) {
                *g *= normal_cdf(*x) + x * 0.398_942_3 * exp(-0.5 * x * x);
            }
        });
        Tensor::from_vec(g, arg.shape(), arg.device()).map(Some)
    }
}

/// Layer normalisation over the last dimension: (x, gain, bias).
pub struct Normalise {
    pub eps: f32,
}

#[inline(always)]
fn moments(row: &[f32], eps: f32) -> (f32, f32) {
    let mean = sum(row) / row.len() as f32;
    let mut lanes = [0.0f32; 16];
    for chunk in row.chunks(16) {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += (x - mean) * (x - mean);
        }
    }
    (mean, 1.0 / (lanes.iter().sum::<f32>() / row.len() as f32 + eps).sqrt())
}

#[inline(always)]
fn sum(row: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    for chunk in row.chunks(16) {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    lanes.iter().sum()
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    for (a, b) in a.chunks(16).zip(b.chunks(16)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum()
}

/// y += factor * x
#[inline(always)]
fn add_scaled(y: &mut [f32], factor: f32, x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += factor * x;
    }
}

impl CustomOp3 for Normalise {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, gain, bias) = (floats(s1, l1)?, floats(s2, l2)?, floats(s3, l3)?);
        let mut y = vec![0.0; x.len()];
        Arch::new().dispatch(|| {
            for (row, out) in x.chunks_exact(gain.len()).zip(y.chunks_exact_mut(gain.len())) {
                let (mean, scale) = moments(row, self.eps);
                for ((out, x), (g, b)) in out.iter_mut().zip(row).zip(gain.iter().zip(bias)) {
                    *out = (x - mean) * scale * g + b;
                }
            }
        });
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gain: &Tensor,
        bias: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (xs, gains, grads) = (values(x)?, values(gain)?, values(grad)?);
        let width = gains.len();
        let (mut dx, mut dgain, mut dbias) = (vec![0.0; xs.len()], vec![0.0; width], vec![0.0; width]);
        Arch::new().dispatch(|| {
            let (mut unit, mut g) = (vec![0.0f32; width], vec![0.0f32; width]);
            for ((row, grad), dx) in
                xs.chunks_exact(width).zip(grads.chunks_exact(width)).zip(dx.chunks_exact_mut(width))
            {
                let (mean, scale) = moments(row, self.eps);
                for i in 0..width {
                    unit[i] = (row[i] - mean) * scale;
                    g[i] = grad[i] * gains[i];
                    dgain[i] += grad[i] * unit[i];
                    dbias[i] += grad[i];
                }
                let (g_mean, g_along) = (sum(&g) / width as f32, dot(&g, &unit) / width as f32);
                for i in 0..width {
                    dx[i] = scale * (g[i] - g_mean - unit[i] * g_along);
                }
            }
        });
        let device = x.device();
        Ok((
            Some(Tensor::from_vec(dx, x.shape(), device)?),
            Some(Tensor::from_vec(dgain, gain.shape(), device)?),
            Some(Tensor::from_vec(dbias, bias.shape(), device)?),
        ))
    }
}

/// Which rows ask and which rows are looked at, for one text among those packed into a batch.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub ask: usize,
    pub asks: usize,
    pub seen: usize,
    pub sees: usize,
}

/// Attention of packed texts: queries `[asks, width]`, keys and values `[rows, 2 * width]`. No padding, no mask: each span
/// sees its own rows only.
#[derive(Clone)]
pub struct Attend {
    pub spans: Vec<Span>,
    pub heads: usize,
}

/// One head of one span: keys and values transposed, so that every inner loop runs over the rows that are seen.
struct Head {
    keys: Vec<f32>,
    scores: Vec<f32>,
}

impl Attend {
    #[inline(always)]
    fn weights(head: &mut Head, query: &[f32], scale: f32) {
        let sees = head.scores.len();
        head.scores.fill(0.0);
        for (q, keys) in query.iter().zip(head.keys.chunks_exact(sees)) {
            add_scaled(&mut head.scores, q * scale, keys);
        }
        let top = head.scores.iter().fold(f32::MIN, |a, b| a.max(*b));
        for s in &mut head.scores {
            *s = exp(*s - top);
        }
        let total = 1.0 / sum(&head.scores);
        for s in &mut head.scores {
            *s *= total;
        }
    }

    #[inline(always)]
    fn transposed(into: &mut Vec<f32>, kv: &[f32], span: &Span, stride: usize, from: usize, size: usize) {
        into.clear();
        into.resize(size * span.sees, 0.0);
        for j in 0..span.sees {
            let row = &kv[(span.seen + j) * stride + from..][..size];
            for (d, x) in row.iter().enumerate() {
                into[d * span.sees + j] = *x;
            }
        }
    }

    #[inline(always)]
    fn forward(&self, q: &[f32], kv: &[f32], width: usize, out: &mut [f32]) {
        let size = width / self.heads;
        let scale = 1.0 / (size as f32).sqrt();
        let mut head = Head { keys: Vec::new(), scores: Vec::new() };
        for span in &self.spans {
            head.scores.resize(span.sees, 0.0);
            for h in 0..self.heads {
                Self::transposed(&mut head.keys, kv, span, 2 * width, h * size, size);
                for i in span.ask..span.ask + span.asks {
                    Self::weights(&mut head, &q[i * width + h * size..][..size], scale);
                    let out = &mut out[i * width + h * size..][..size];
                    for (j, p) in head.scores.iter().enumerate() {
                        add_scaled(out, *p, &kv[(span.seen + j) * 2 * width + width + h * size..][..size]);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn backward(&self, q: &[f32], kv: &[f32], grad: &[f32], width: usize, dq: &mut [f32], dkv: &mut [f32]) {
        let size = width / self.heads;
        let scale = 1.0 / (size as f32).sqrt();
        let mut head = Head { keys: Vec::new(), scores: Vec::new() };
        let (mut vals, mut dp) = (Vec::new(), Vec::new());
        for span in &self.spans {
            head.scores.resize(span.sees, 0.0);
            dp.resize(span.sees, 0.0f32);
            for h in 0..self.heads {
                Self::transposed(&mut head.keys, kv, span, 2 * width, h * size, size);
                Self::transposed(&mut vals, kv, span, 2 * width, width + h * size, size);
                for i in span.ask..span.ask + span.asks {
                    let at = i * width + h * size;
                    Self::weights(&mut head, &q[at..][..size], scale);
                    dp.fill(0.0);
                    for (g, v) in grad[at..][..size].iter().zip(vals.chunks_exact(span.sees)) {
                        add_scaled(&mut dp, *g, v);
                    }
                    let mean = dot(&dp, &head.scores);
                    for (j, (p, dp)) in head.scores.iter().zip(&dp).enumerate() {
                        let ds = p * (dp - mean) * scale;
                        let row = (span.seen + j) * 2 * width + h * size;
                        add_scaled(&mut dq[at..][..size], ds, &kv[row..][..size]);
                        add_scaled(&mut dkv[row..][..size], ds, &q[at..][..size]);
                        add_scaled(&mut dkv[row + width..][..size], *p, &grad[at..][..size]);
                    }
                }
            }
        }
    }
}

impl CustomOp2 for Attend {
    fn name(&self) -> &'static str {
        "attend"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (q, kv) = (floats(s1, l1)?, floats(s2, l2)?);
        let width = l1.dims()[1];
        let mut out = vec![0.0; q.len()];
        Arch::new().dispatch(
            #[inline(always)]
            || self.forward(q, kv, width, &mut out),
        );
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(&self, q: &Tensor, kv: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let width = q.dims()[1];
        let (qs, kvs, grads) = (values(q)?, values(kv)?, values(grad)?);
        let (mut dq, mut dkv) = (vec![0.0; qs.len()], vec![0.0; kvs.len()]);
        Arch::new().dispatch(
            #[inline(always)]
            || self.backward(&qs, &kvs, &grads, width, &mut dq, &mut dkv),
        );
        Ok((Some(Tensor::from_vec(dq, q.shape(), q.device())?), Some(Tensor::from_vec(dkv, kv.shape(), kv.device())?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    /// The slope that the backward pass gives against the slope that two forward passes give.
    fn slopes_agree(var: &Var, f: impl Fn() -> Tensor) {
        let grads = f().backward().unwrap();
        let slope = values(grads.get(var).unwrap()).unwrap();
        let at = values(var.as_tensor()).unwrap();
        for i in (0..at.len()).step_by(7) {
            let moved = |by: f32| {
                let mut x = at.clone();
                x[i] += by;
                var.set(&Tensor::from_vec(x, var.shape(), &Device::Cpu).unwrap()).unwrap();
                f().to_scalar::<f32>().unwrap()
            };
            let measured = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((measured - slope[i]).abs() < 2e-2 * (1.0 + measured.abs()), "{i}: {measured} {}", slope[i]);
        }
        var.set(&Tensor::from_vec(at, var.shape(), &Device::Cpu).unwrap()).unwrap();
    }

    fn wave(rows: usize, columns: usize, step: f32) -> Var {
        let x: Vec<f32> = (0..rows * columns).map(|i| (i as f32 * step).sin()).collect();
        Var::from_tensor(&Tensor::from_vec(x, (rows, columns), &Device::Cpu).unwrap()).unwrap()
    }

    fn weighed(x: &Tensor) -> Tensor {
        let w = wave(x.dims()[0], x.dims()[1], 0.37);
        (x * w.as_tensor()).unwrap().sum_all().unwrap()
    }

    #[test]
    fn gelu_is_the_exact_one_and_its_slope_is_right() {
        let x = wave(4, 8, 0.9);
        let (ours, theirs) = (x.apply_op1(Gelu).unwrap(), x.gelu_erf().unwrap());
        for (a, b) in values(&ours).unwrap().iter().zip(values(&theirs).unwrap()) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
        slopes_agree(&x, || weighed(&x.apply_op1(Gelu).unwrap()));
    }

    #[test]
    fn normalising_has_the_right_slope_in_all_three_arguments() {
        let (x, gain, bias) = (wave(5, 32, 0.7), wave(1, 32, 0.3), wave(1, 32, 0.2));
        for var in [&x, &gain, &bias] {
            slopes_agree(var, || weighed(&x.apply_op3(&gain, &bias, Normalise { eps: 1e-12 }).unwrap()));
        }
    }

    #[test]
    fn attention_sees_its_own_rows_only_and_has_the_right_slope() {
        let (q, kv) = (wave(5, 8, 0.7), wave(7, 16, 0.45));
        let spans = vec![Span { ask: 0, asks: 2, seen: 0, sees: 3 }, Span { ask: 2, asks: 3, seen: 3, sees: 4 }];
        let attend = Attend { spans, heads: 2 };
        let before = values(&q.apply_op2(&kv, attend.clone()).unwrap()).unwrap();
        for var in [&q, &kv] {
            slopes_agree(var, || weighed(&q.apply_op2(&kv, attend.clone()).unwrap()));
        }
        let mut moved = values(&kv).unwrap();
        moved[0] += 5.0;
        kv.set(&Tensor::from_vec(moved, (7, 16), &Device::Cpu).unwrap()).unwrap();
        let after = values(&q.apply_op2(&kv, attend).unwrap()).unwrap();
        assert!(before[..16] != after[..16] && before[16..] == after[16..]);
    }
}
